"""The page at `/` of a server that is tried out: sample images, and a form that writes image URLs."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib import resources

from imgforge.web._answer import Answer

__all__ = ["demo_page", "plain_page"]

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
    ("a drawing, sharp at any size", "rs:fit:800:800/plain/sample://drawing@png"),
)


def demo_page() -> Answer:
    """The page; its policy lets nothing in but this server's images and the page's own script."""
    html = resources.files(__package__).joinpath("demo.html").read_text("utf-8")
    figures = "\n".join(
        f'<figure><a href="unsafe/{escape(path)}">'
        f'<img loading="lazy" alt="{escape(caption)}" src="unsafe/{escape(path)}"></a>'
        f"<figcaption>{escape(caption)}<br><code>{escape(path)}</code></figcaption></figure>"
        for caption, path in _EXHIBITS
    )
    html = html.replace("<!--SAMPLES-->", figures)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = (
        "default-src 'none'; img-src 'self' blob:; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return Answer(
        200,
        [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Security-Policy", policy.encode("ascii"))],
        html.encode("utf-8"),
    )


def plain_page(version: str) -> Answer:
    """What `/` says on a server that is not being tried out."""
    return Answer(
        200, [(b"Content-Type", b"text/plain; charset=utf-8")], f"imgforge {version} is running\n".encode("ascii")
    )
