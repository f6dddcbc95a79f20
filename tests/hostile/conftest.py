"""What most modules here start from: an origin with one good picture, and a listener that nobody may connect to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hostile_world import Canary, RawOrigin, whole
from tests.support.pictures import encode, gradient


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    """`/a.png`, 30 by 20; modules that need more have their own."""
    origin = RawOrigin()
    origin.answers["/a.png"] = whole(encode(gradient(30, 20), "PNG"))
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.close()
