"""The page at `/` of a server in production: HTML for visitors, or one line of text."""

from __future__ import annotations

from imgforge.web.http import Answer

__all__ = ["landing_page", "plain_page"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>imgforge</title>
<style>
:root { color-scheme: light dark; }
body { display: grid; place-content: center; min-height: 100vh; margin: 0; text-align: center;
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 2.4rem; letter-spacing: -.02em; }
h1 span { color: #d95f2b; }
</style>
</head>
<body>
<h1>img<span>forge</span></h1>
<p>This server resizes and converts images on their way to the pages that show them.</p>
</body>
</html>
"""


def landing_page() -> Answer:
    """The HTML page; its policy allows nothing but its own style."""
    policy = b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    headers = [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Security-Policy", policy)]
    return Answer(200, [*headers, (b"X-Content-Type-Options", b"nosniff")], _PAGE.encode("utf-8"))


def plain_page(version: str) -> Answer:
    """One line of text with the running version."""
    return Answer(
        200, [(b"Content-Type", b"text/plain; charset=utf-8")], f"imgforge {version} is running\n".encode("ascii")
    )
