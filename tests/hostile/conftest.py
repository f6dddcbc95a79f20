"""Fixtures of most modules here: an origin with one valid image, and a listener that must see no connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hostile_world import Canary, RawOrigin, whole
from tests.support.pictures import encode, gradient


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    """An origin with `/a.png`, 30 by 20 pixels; modules that need more override it."""
    origin = RawOrigin()
    origin.answers["/a.png"] = whole(encode(gradient(30, 20), "PNG"))
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.close()
