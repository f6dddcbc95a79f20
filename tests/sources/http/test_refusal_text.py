"""What the log has of the page that an origin of the web refuses a request with."""

from __future__ import annotations

from typing import Any

from imgforge.errors import ImgforgeError
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import response


class RefusalTextTests(HttpCase):
    async def error(self, answer: Any, query: str = "", **changes: Any) -> ImgforgeError:
        sources = self.sources(retries=0, **changes)
        with self.assertRaises(ImgforgeError) as caught:
            await sources.fetch(self.origin(answer).url() + query, None, {})
        error: ImgforgeError = caught.exception
        return error

    async def cause(self, body: bytes, content_type: str = "text/plain", query: str = "", **changes: Any) -> str:
        return (await self.error(response(body, "403 No", Content_Type=content_type), query, **changes)).cause

    async def test_the_cause_is_what_the_origin_says(self) -> None:
        for status in ("401 No", "403 No", "429 No", "500 No", "502 No", "503 No"):
            error = await self.error(response(b"the bucket is\r\n\x1b[31mon fire\n", status))
            self.assertEqual(error.message, f"the origin answered {status[:3]}")
            self.assertEqual(error.cause, r"the bucket is \x1b[31mon fire")
            self.assertNotIn("fire", error.message)

    async def test_a_page_is_cut_to_its_title_or_its_words(self) -> None:
        page = b"<html><head><style>a {}</style><title>Access &amp; Denied</title></head><h1>No</h1>"
        self.assertEqual(await self.cause(page, "text/html; charset=utf-8"), "Access & Denied")
        self.assertEqual(await self.cause(b"<p>Not <b>here</b></p>", "text/html"), "Not here")
        self.assertEqual(await self.cause(b"a " * 5000), "a " * 100 + "...")

    async def test_missing_originals_and_what_is_no_text_have_no_cause(self) -> None:
        for status in ("404 Not Found", "410 Gone"):
            self.assertEqual((await self.error(response(b"no such page", status))).cause, "")
        self.assertEqual(await self.cause(b"\x89PNG", "image/png"), "")
        self.assertEqual(await self.cause(b"bits\0", "text/plain"), "")
        self.assertEqual(await self.cause(b""), "")

    async def test_secrets_of_the_request_are_hidden(self) -> None:
        body = b'no: /a.jpg?sig=s3cr%20t! {"sig": "s3cr t!"} http://me:pass@host/a?b=c Bearer t0kent0ken; why?'
        cause = await self.cause(body, query="?sig=s3cr%20t!", custom_headers={"authorization": "Bearer t0kent0ken"})
        self.assertEqual(cause, 'no: /a.jpg?... {"sig": "***"} http://***@host/a?... *** ***; why?')

    async def test_an_origin_that_does_not_end_its_page_is_left(self) -> None:
        error = await self.error(b"HTTP/1.1 500 No\r\nContent-Length: 900\r\n\r\nbecause")
        self.assertEqual((error.message, error.cause), ("the origin answered 500", "because"))

    async def test_a_page_is_not_read_to_its_end(self) -> None:
        error = await self.error(
            b"HTTP/1.1 500 No\r\nContent-Length: 900000\r\n\r\n" + b"b" * 9000, download_timeout=0.9
        )
        self.assertEqual(error.cause, "b" * 200 + "...")
