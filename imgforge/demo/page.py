"""The demo page at `/`: sample images, and a form that composes image URLs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from urllib.parse import quote

from twisted.internet.threads import deferToThreadPool
from twisted.web.server import Request

from imgforge.demo.directory_images import find_images, local_url
from imgforge.interfaces import IServerReactor
from imgforge.processing import capabilities
from imgforge.web import Answer

__all__ = ["DemoEndpoint", "demo_page"]

_FIRST = "sample://landscape"
_MOST_IMAGES = 120
_TILE = "rs:fit:448:352/da:1"  # an animation may have more pixels than the limits allow

# The images on the page: a caption and the part of the URL after the signature.
_EXAMPLES = (
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


def _figures(examples: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        f'<figure><a href="unsafe/{escape(path)}">'
        f'<img loading="lazy" alt="{escape(caption)}" src="unsafe/{escape(path)}"></a>'
        f"<figcaption>{escape(caption)}<br><code>{escape(path)}</code></figcaption></figure>"
        for caption, path in examples
    )


def _directory_images(sources: Sequence[tuple[str, str]], root: str) -> str:
    """The images of the directory *root*: a click makes one of them the source of the form."""
    if not root:
        return "<p>Started with <code>--try DIR</code>, it shows the pictures of a directory here.</p>"
    figures = "\n".join(
        f'<figure><a href="unsafe/plain/{quoted}" data-source="{escape(source)}">'
        f'<img loading="lazy" alt="{escape(name)}" src="unsafe/{_TILE}/plain/{quoted}@webp"></a>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, source, quoted in ((name, source, escape(quote(source, safe="/:"))) for name, source in sources)
    )
    more = f", the first {len(sources)}" if len(sources) == _MOST_IMAGES else ""
    heading = f"Pictures in {escape(root)}{more}" if sources else f"No pictures in {escape(root)}"
    return f'<h2>{heading}</h2>\n<div class="samples own">\n{figures}\n</div>'


def demo_page(sources: Sequence[tuple[str, str]] = (), root: str = "") -> Answer:
    """The page, with the images of the directory *root*; *sources* are their names and source URLs.

    Its content security policy allows this server's images and the page's own script, and nothing else.
    """
    html = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = (
        "default-src 'none'; img-src 'self' blob:; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    # All in one pass: nothing is replaced inside the names of files, whatever they are.
    parts = {
        "SOURCE": escape(sources[0][1] if sources else _FIRST),
        "SAMPLES": _figures(_EXAMPLES),
        "OWN": _directory_images(sources, root),
    }
    html = re.sub(r"<!--(\w+)-->", lambda match: parts[match[1]], html)
    return Answer(
        200,
        [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Security-Policy", policy.encode("ascii"))],
        html.encode("utf-8"),
    )


class DemoEndpoint:
    """Serves the page; for each request a thread searches the directory *root* for images, if there is one."""

    def __init__(self, reactor: IServerReactor, root: str, query_separator: str) -> None:
        self._reactor = reactor
        self._root = root
        self._query_separator = query_separator

    async def __call__(self, _: Request) -> Answer:
        return await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._page)

    def _page(self) -> Answer:
        names = find_images(self._root, capabilities().loads, _MOST_IMAGES) if self._root else []
        return demo_page([(name, local_url(name, self._query_separator)) for name in names], self._root)
