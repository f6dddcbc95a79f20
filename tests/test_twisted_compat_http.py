"""The private names of twisted.web's HTTP server exist, and do what imgforge relies on."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel, Request

from imgforge.twisted_compat_http import RELIED_ON, ParsingChannel

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
MALFORMED = {
    "a request line of two words": b"GET /\r\n\r\n",
    "a version of its own": b"GET / HTTP/9\r\n\r\n",
    "a method that is no token": b"G[T / HTTP/1.1\r\n\r\n",
    "a header without a colon": HEAD + b"broken\r\n\r\n",
    "a name that is no token": HEAD + b"a b: c\r\n\r\n",
    "a length that is none": HEAD + b"Content-Length: x\r\n\r\n",
    "two framings": HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a broken chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
}


class Recording(ParsingChannel):
    """Counts malformed requests, and closes without a response."""

    timeOut = None
    requestFactory = Request
    malformed = 0

    def malformed_request(self) -> None:
        self.malformed += 1
        self.loseConnection()


class ParsingChannelTests(SynchronousTestCase):
    def feed(self, channel: Any, data: bytes) -> bytes:
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(data)
        written: bytes = transport.value()
        return written

    def test_names_exist(self) -> None:
        for owner, name, why, public_hook in RELIED_ON:
            self.assertTrue(callable(getattr(owner, name, None)), name)
            self.assertTrue(why and public_hook)

    def test_hook_is_called_in_place_of_an_answer_for_each_malformed_request(self) -> None:
        for name, data in MALFORMED.items():
            channel = Recording()
            self.assertEqual(self.feed(channel, data), b"", name)
            self.assertTrue(channel.malformed, name)

    def test_hook_is_not_called_for_a_well_formed_request(self) -> None:
        channel = Recording()
        self.feed(channel, HEAD)
        self.assertEqual(channel.malformed, 0)

    def test_without_an_override_twisted_web_answers(self) -> None:
        for channel in (HTTPChannel(), ParsingChannel()):
            channel.timeOut = None
            self.assertTrue(self.feed(channel, b"GET /\r\n\r\n").startswith(b"HTTP/1.1 400 "))
