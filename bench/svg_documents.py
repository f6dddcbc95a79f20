"""The documents of `svg.py`: what used to be drawn in a process of its own, and badges with different texts."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DOCUMENTS", "write_badges", "write_documents"]

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{inside}</svg>'
_BACKGROUND = '<rect width="400" height="300" fill="#eef"/>'
_INSIDE = {
    "text.svg": '<text x="20" y="150" font-family="sans-serif" font-size="40" fill="#123">A line of text</text>',
    "pattern.svg": '<pattern id="p" width="20" height="20" patternUnits="userSpaceOnUse"><circle cx="10" cy="10" r="8" '
    'fill="#c33"/></pattern><rect width="400" height="300" fill="url(#p)"/>',
    "blur.svg": '<filter id="f"><feGaussianBlur stdDeviation="5"/></filter>'
    '<rect x="80" y="60" width="200" height="150" fill="#3a3" filter="url(#f)"/>',
    "styled.svg": "<style>text { font-size: 40px; fill: #123 }</style>"
    '<text x="20" y="150" font-family="sans-serif">A line of text</text>',
    # A rule that is not read, so that nobody knows what the text costs: it is drawn by a process of its own.
    "unread.svg": "<style>text { font-size: 40px; fill: #123 } :root { --colour: red }</style>"
    '<text x="20" y="150" font-family="sans-serif">A line of text</text>',
}
_BADGE = (
    '<rect width="60" height="20" fill="#555"/><rect x="60" width="90" height="20" fill="#4c1"/>'
    '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
    '<text x="30" y="14">build</text><text x="105" y="14">passed {number}</text></g>'
)

DOCUMENTS = {
    "a text": "text.svg",
    "a pattern": "pattern.svg",
    "a blur": "blur.svg",
    "a text by a style sheet": "styled.svg",
    "a text by rules that are not read": "unread.svg",
}


def write_documents(directory: Path) -> None:
    """Write the documents of 400 by 300 pixels that *directory* lacks."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, inside in _INSIDE.items():
        if not (directory / name).is_file():
            (directory / name).write_text(_SVG.format(width=400, height=300, inside=_BACKGROUND + inside))


def write_badges(directory: Path, number: int) -> list[str]:
    """Write so many badges with different texts, and return the names of the files."""
    names = [f"badge-{count}.svg" for count in range(number)]
    for count, name in enumerate(names):
        text = _SVG.format(width=150, height=20, inside=_BADGE.format(number=count))
        (directory / name).write_text(text)
    return names
