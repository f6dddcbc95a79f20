"""Settings of the queue of images to make before anybody asks for them."""

from typing import Annotated
from urllib.parse import urlsplit

from imgforge.config.fields import Checks, Section, setting
from imgforge.config.value_types import Words

__all__ = ["QueueSettings"]

_SCHEMES = ("amqp", "amqps", "redis", "rediss")


def _broker(value: str) -> str:
    if value:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must be a URL such as amqp://user:password@host:5672/vhost or redis://host:6379/0")
    return value


class QueueSettings(Section):
    """Pre-rendering."""

    queue_path: str = setting(
        "",
        description="Path of the directory of the embedded queue of images to make beforehand (pre-rendering), on a "
        "disk of this machine; empty is no such queue.",
    )
    queue_url: Annotated[str, Checks(_broker)] = setting(
        "",
        description="URL of the broker whose Celery workers make images beforehand, amqp:// (RabbitMQ) or redis://, in "
        "place of queue_path; it needs `pip install 'twisted-imgforge[queue]'`.",
    )
    queue_max_retries: int = setting(
        5,
        ge=0,
        le=100,
        description="Maximum number of times that an image is tried again after a failure that may pass, each time "
        "after a longer pause; it is then put aside as failed, and 0 tries once only.",
    )
    prerender_presets: Words = setting(
        (),
        description="Names of the presets that are made of an original named to POST /render or POST /events, "
        "separated by commas; empty is none.",
    )
    render_secret: str = setting(
        "",
        description="The token that POST /render and POST /events must carry as `Authorization: Bearer "
        "<render_secret>`; empty switches both off.",
    )
