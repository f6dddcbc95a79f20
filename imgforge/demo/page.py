"""The playground's page: HTML, styles and scripts in one answer, and the JSON that the scripts work with."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.web.server import Request

from imgforge import __version__
from imgforge.demo.directory_images import find_images, local_url
from imgforge.demo.gate import PlaygroundGate
from imgforge.demo.option_controls import option_controls, preset_control
from imgforge.demo.samples import SAMPLES
from imgforge.interfaces import IServerReactor
from imgforge.processing import capabilities
from imgforge.web import Answer

__all__ = ["DemoEndpoint", "PlaygroundSettings", "demo_page"]

_MOST_IMAGES = 120
# Files of the page in its order. Each script may use what those before it declare.
_STYLES = ("page.css", "controls.css", "result.css")
_SCRIPTS = (
    *("settings.js", "option_text.js", "controls.js", "signing.js", "result.js", "explanation.js"),
    *("linked_path.js", "pictures.js", "page.js"),
)
_PLACE = re.compile(r"<!--(\w+)-->")


@dataclass(frozen=True, slots=True)
class PlaygroundSettings:
    """What of the operator's settings the page shows or obeys.

    `signs`: URLs need a signature, for which the page asks the server. `needs_token`: images, too, are asked for with
    the token.
    """

    signs: bool = False
    needs_token: bool = False
    samples: bool = True
    root: str = ""  # a directory whose images are shown
    query_separator: str = ""
    arguments_separator: str = ":"
    presets: Collection[str] = ()
    only_presets: bool = False
    allowed_options: Collection[str] = ()
    security_options: bool = False
    bypass_cache: bool = False


@cache
def _read(name: str) -> str:
    return resources.files(__package__).joinpath("playground", name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def _policy() -> bytes:
    """The content security policy: this server, the page's own styles and scripts, and nothing else.

    No text becomes HTML or a script (Trusted Types, without any policy that makes them).
    """
    return (
        "default-src 'none'; img-src 'self' blob: data:; connect-src 'self'; "
        f"style-src {' '.join(_digest(_read(name)) for name in _STYLES)}; "
        f"script-src {' '.join(_digest(_read(name)) for name in _SCRIPTS)}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ).encode("ascii")


def _page_settings(settings: PlaygroundSettings, pictures: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The JSON for the scripts; *pictures* are names and source URLs of the images of the directory."""
    samples = [(name, f"sample://{name}") for name in SAMPLES] if settings.samples else []
    controls = option_controls(
        settings.allowed_options, security=settings.security_options, bypass=settings.bypass_cache
    )
    if settings.presets:
        named = [name for name in settings.presets if name != "default"]
        controls = [preset_control(named), *([] if settings.only_presets else controls)]
    usable = {control["name"] for control in controls if not control["refused"]}
    separator = settings.arguments_separator

    def spelt(*options: tuple[str, ...]) -> str:
        """The *options* that the operator allows, as a part of a path."""
        return "".join(f"{separator.join((short, *rest))}/" for name, short, *rest in options if name in usable)

    return {
        "version": __version__,
        "signs": settings.signs,
        "needsToken": settings.needs_token,
        "separator": separator,
        "onlyPresets": settings.only_presets,
        "options": controls,
        "start": spelt(("resize", "rs", "fill", "640", "400"), ("format", "f", "webp")),
        "original": spelt(("resize", "rs", "fit", "1280", "1280"), ("format", "f", "webp")),
        # An animation may have more pixels than the limits allow.
        "tile": spelt(("resize", "rs", "fit", "240", "160"), ("disable_animation", "da", "1"), ("format", "f", "webp")),
        "root": settings.root,
        "more": len(pictures) == _MOST_IMAGES,
        "pictures": [{"name": name, "source": source, "own": True} for name, source in pictures]
        + [{"name": name, "source": source, "own": False} for name, source in samples],
    }


def demo_page(settings: PlaygroundSettings, pictures: Sequence[tuple[str, str]] = (), fault: str = "") -> Answer:
    """The page, with the *pictures* of a directory, their names and source URLs, or why it cannot be read."""
    # Nothing in it ends the script element: `<` is escaped, whatever files are called.
    document = json.dumps(_page_settings(settings, pictures) | {"rootFault": fault}).replace("<", "\\u003c")
    parts = {
        "STYLES": "\n".join(f"<style>{_read(name)}</style>" for name in _STYLES),
        "SCRIPTS": "\n".join(f"<script>{_read(name)}</script>" for name in _SCRIPTS),
        "SETTINGS": document,
    }
    html = _PLACE.sub(lambda match: parts[match[1]], _read("page.html"))
    headers = [
        (b"Content-Type", b"text/html; charset=utf-8"),
        (b"Content-Security-Policy", _policy()),
        (b"Cache-Control", b"no-store"),
        (b"Referrer-Policy", b"no-referrer"),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Cross-Origin-Opener-Policy", b"same-origin"),
        (b"Cross-Origin-Resource-Policy", b"same-origin"),
    ]
    return Answer(200, headers, html.encode("utf-8"))


class DemoEndpoint:
    """Serves the page; for each request a thread searches the directory of the settings for images, if there is one."""

    def __init__(self, reactor: IServerReactor, settings: PlaygroundSettings, gate: PlaygroundGate) -> None:
        self._reactor = reactor
        self._settings = settings
        self._gate = gate

    async def __call__(self, request: Request) -> Answer:
        """The page; `ClientRefused` where the browser was led here under another host name."""
        self._gate.check_host(request)
        return await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._page)

    def _page(self) -> Answer:
        root, separator = self._settings.root, self._settings.query_separator
        try:
            names = find_images(root, capabilities().loads, _MOST_IMAGES) if root else []
        except OSError as error:
            return demo_page(self._settings, fault=error.strerror or str(error))
        return demo_page(self._settings, [(name, local_url(name, separator)) for name in names])
