"""Makes the queue and what checks its jobs, of the settings."""

from __future__ import annotations

import time

from imgforge.config import Settings
from imgforge.queue import Intake, JobQueue
from imgforge.service.url_translation import url_settings
from imgforge.sources import AllowedSources
from imgforge.urls import Signer, UrlParser

__all__ = ["make_intake", "make_queue"]

_EXTRA = "IMGFORGE_QUEUE_URL needs Celery: pip install 'twisted-imgforge[queue]'"


def make_queue(settings: Settings) -> JobQueue:
    """The queue that *settings* name; `ImportError` says what to install."""
    if settings.queue_path:
        from imgforge.queue import EmbeddedQueue

        return EmbeddedQueue(settings.queue_path)
    try:
        from imgforge.queue import BrokerQueue, make_app
    except ImportError as error:
        raise ImportError(_EXTRA) from error
    return BrokerQueue(make_app(settings))


def make_intake(settings: Settings) -> Intake:
    """The checks of what is to be queued."""
    signer = Signer(settings.key[0], settings.salt[0], settings.signature_size) if settings.key else None

    def sign(path: str) -> str:
        return f"/unsafe{path}" if signer is None else signer.sign(path)

    return Intake(
        parser=UrlParser(url_settings(settings)),
        sign=sign,
        clock=time.time,
        allows=AllowedSources(settings.allowed_sources).allow,
        presets=settings.prerender_presets,
        separator=settings.arguments_separator,
        presets_only=settings.cache_presets_only,
    )
