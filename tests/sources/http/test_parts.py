"""The first bytes of originals, by Range."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from imgforge.errors import OriginFailed, SourceTooLarge
from imgforge.model import SourceImage
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import response


class PartTests(HttpCase):
    async def part(self, content_range: str, body: bytes = b"abcd", limit: int | None = None) -> SourceImage:
        answer = response(body, "206 Partial Content", Content_Range=content_range)
        return await self.sources().fetch(self.origin(answer).url(), limit, {"range": "bytes=0-3"})

    async def test_part_knows_the_size_of_the_whole(self) -> None:
        image = await self.part("bytes 0-3/10")
        self.assertEqual((image.body, image.whole_size), (b"abcd", 10))

    async def test_part_that_is_the_whole(self) -> None:
        image = await self.part("bytes 0-3/4")
        self.assertEqual((image.body, image.whole_size), (b"abcd", 0))

    async def test_origin_without_ranges(self) -> None:
        image = await self.sources().fetch(self.origin(response(b"abcdef")).url(), None, {"range": "bytes=0-3"})
        self.assertEqual((image.body, image.whole_size), (b"abcdef", 0))

    async def test_range_is_sent(self) -> None:
        origin = self.origin(response(b"abcdef"))
        await self.sources().fetch(origin.url(), None, {"range": "bytes=0-3"})
        self.assertIn(b"range: bytes=0-3", origin.heads[0].lower())

    async def test_parts_that_contradict_themselves(self) -> None:
        for content_range in (
            "bytes 1-4/10", "bytes 0-3/*", "bytes 0-2/10", "bytes 0-4/10", "bytes 0-3/3", "bytes */10", "", "0-3/10",
            "bytes 0-3/10, bytes 0-3/10", "items 0-3/10", "bytes 0-3/" + "9" * 30,
        ):  # fmt: skip
            await self.assertFailure(_deferred(self.part(content_range)), OriginFailed)

    async def test_limit_is_for_the_whole(self) -> None:
        error: Any = await self.assertFailure(_deferred(self.part("bytes 0-3/10", limit=9)), SourceTooLarge)
        self.assertEqual(error.message, "the source has 10 bytes, more than 9")

    async def test_part_that_was_not_asked_for(self) -> None:
        await self.assert_fails(OriginFailed, response(b"abcd", "206 Partial Content", Content_Range="bytes 0-3/10"))


def _deferred(work: Any) -> Any:
    return Deferred.fromCoroutine(work)
