"""The page at `/` of a server that is tried out: sample images, and a form that writes image URLs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any
from urllib.parse import quote

from twisted.internet.threads import deferToThreadPool
from twisted.web.server import Request

from imgforge.demo.own_pictures import local_url, pictures
from imgforge.processing import capabilities
from imgforge.web import Answer

__all__ = ["DemoEndpoint", "demo_page"]

_FIRST = "sample://landscape"
_MOST_PICTURES = 120
_TILE = "rs:fit:448:352/da:1"  # animations of others may have more pixels than are taken

# What the page shows: a caption and the part of the URL behind the signature.
_EXHIBITS = (
    ("fit into 480x360", "rs:fit:480:360/plain/sample://landscape@jpg"),
    ("fill a square, WebP", "rs:fill:400:400/plain/sample://landscape@webp"),
    ("the same around a focus point", "rs:fill:400:400/g:fp:0.68:0.42/plain/sample://landscape@webp"),
    ("EXIF orientation is obeyed, AVIF", "rs:fit:400:400/plain/sample://portrait@avif"),
    ("transparency on a background", "rs:fit:300:300/pd:20/bg:ffd9b0/plain/sample://logo@jpg"),
    ("transparency kept", "rs:fit:300:300/plain/sample://logo@webp"),
    ("pixelated and turned", "rs:fit:400:300/pix:16/rot:90/plain/sample://landscape@png"),
    ("blurred and flipped", "rs:fit:400:300/bl:6/fl:1/plain/sample://landscape@webp"),
    ("an animation moves, WebP", "rs:fit:240:240/plain/sample://animation@webp"),
    ("a drawing, sharp at any size", "rs:fit:800:800/plain/sample://drawing@png"),
)


def _figures(exhibits: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        f'<figure><a href="unsafe/{escape(path)}">'
        f'<img loading="lazy" alt="{escape(caption)}" src="unsafe/{escape(path)}"></a>'
        f"<figcaption>{escape(caption)}<br><code>{escape(path)}</code></figcaption></figure>"
        for caption, path in exhibits
    )


def _own(sources: Sequence[tuple[str, str]], root: str) -> str:
    """The pictures of the directory that it is tried out with: a click makes one the source of the form."""
    if not root:
        return "<p>Started with <code>--try DIR</code>, it shows the pictures of a directory here.</p>"
    figures = "\n".join(
        f'<figure><a href="unsafe/plain/{quoted}" data-source="{escape(source)}">'
        f'<img loading="lazy" alt="{escape(name)}" src="unsafe/{_TILE}/plain/{quoted}@webp"></a>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, source, quoted in ((name, source, escape(quote(source, safe="/:"))) for name, source in sources)
    )
    more = f", the first {len(sources)}" if len(sources) == _MOST_PICTURES else ""
    said = f"Pictures in {escape(root)}{more}" if sources else f"No pictures in {escape(root)}"
    return f'<h2>{said}</h2>\n<div class="samples own">\n{figures}\n</div>'


def demo_page(sources: Sequence[tuple[str, str]] = (), root: str = "") -> Answer:
    """The page, with the pictures of *root*: their names, and their URLs as *sources*.

    Its policy lets nothing in but this server's images and the page's own script.
    """
    html = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = (
        "default-src 'none'; img-src 'self' blob:; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    # The names of files last: whatever they are, nothing is looked for in them.
    parts = {
        "SOURCE": escape(sources[0][1] if sources else _FIRST),
        "SAMPLES": _figures(_EXHIBITS),
        "OWN": _own(sources, root),
    }
    html = re.sub(r"<!--(\w+)-->", lambda found: parts[found[1]], html)
    return Answer(
        200,
        [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Security-Policy", policy.encode("ascii"))],
        html.encode("utf-8"),
    )


class DemoEndpoint:
    """The page as an endpoint; the directory *root*, if there is one, is looked through on a thread each time."""

    def __init__(self, reactor: Any, root: str, query_separator: str) -> None:
        self._reactor = reactor
        self._root = root
        self._query_separator = query_separator

    async def __call__(self, _: Request) -> Answer:
        return await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._page)

    def _page(self) -> Answer:
        names = pictures(self._root, capabilities().loads, _MOST_PICTURES) if self._root else []
        return demo_page([(name, local_url(name, self._query_separator)) for name in names], self._root)
