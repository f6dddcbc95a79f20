"""The image URLs of `compare.py`, read from `grid.toml`: groups of products of sources, options and formats."""

from __future__ import annotations

import base64
import itertools
import re
import tomllib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.workloads import image_path

__all__ = ["Case", "grid_cases"]

_SET_NAME = re.compile(r"<([a-z]+)>")


@dataclass(frozen=True, slots=True)
class Case:
    """One URL: the group that it belongs to, and its path."""

    group: str
    path: str


def grid_cases(prefix: str, photos: Sequence[str] = ()) -> list[Case]:
    """Return every case of `grid.toml`, each path once.

    *prefix* (`local:///` or an origin's URL) goes before the name of each source. With *photos*, file names, the cases
    are those of the group for photos, otherwise those of all other groups, on the drawn pictures.
    """
    table = tomllib.loads(Path(__file__).with_name("grid.toml").read_text(encoding="utf-8"))
    sets: dict[str, list[str]] = {name: members.split() for name, members in table["sets"].items()}
    sets["photos"] = list(photos)
    groups = [group for group in table["groups"] if ("<photos>" in group["sources"]) == bool(photos)]
    cases = [case for group in groups for case in _product_cases(group, prefix, sets)]
    if not photos:
        cases += [case for group in table["paths"] for case in _spelling_cases(group, prefix + "photo.jpg")]
    return list({case.path: case for case in reversed(cases)}.values())[::-1]


def _product_cases(group: Mapping[str, Any], prefix: str, sets: Mapping[str, Sequence[str]]) -> Iterator[Case]:
    parts = (_expanded_words(group.get(key, "png"), sets) for key in ("sources", "options", "extensions"))
    for source, options, extension in itertools.product(*parts):
        path = image_path(_empty_if_dash(options), prefix + source, _empty_if_dash(extension))
        yield Case(group["name"], path)


def _empty_if_dash(word: str) -> str:
    return "" if word == "-" else word


def _expanded_words(text: str, sets: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the words of *text*; a word with `<set>` comes once for each member of that set."""
    return [expanded for word in text.split() for expanded in _expand(word, sets)]


def _expand(word: str, sets: Mapping[str, Sequence[str]]) -> Iterator[str]:
    found = _SET_NAME.search(word)
    if found is None:
        yield word
        return
    for member in sets[found[1]]:
        yield from _expand(word.replace(found[0], member, 1), sets)


def _spelling_cases(group: Mapping[str, Any], source: str) -> Iterator[Case]:
    """Yield the group's paths: several spellings of the URL of one *source*."""
    encoded = base64.urlsafe_b64encode(source.encode()).decode().rstrip("=")
    fields = {
        "source": source,
        "quoted": urllib.parse.quote(source, safe=""),
        "base64": encoded,
        "base64_split": "/".join(encoded[start : start + 7] for start in range(0, len(encoded), 7)),
    }
    for template in group["paths"].split():
        yield Case(group["name"], template.format(**fields))
