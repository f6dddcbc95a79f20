"""Bodies as treq hands them over, from a resource in memory."""

from __future__ import annotations

from typing import Any

from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.static import Data

from imgforge.errors import SourceTooLarge
from imgforge.sources.http.body import collect
from imgforge.sources.http.response_headers import joined_headers, kept_headers

PICTURE = bytes(range(256)) * 1000


class MemoryOriginTests(SynchronousTestCase):
    def setUp(self) -> None:
        resource = Data(PICTURE, "image/png")
        resource.isLeaf = True
        self.agent = RequestTraversalAgent(resource)

    def response(self) -> Any:
        answering = HTTPClient(self.agent).get("http://origin/a.png", unbuffered=True)
        self.agent.flush()
        return self.successResultOf(answering)

    def outcome(self, collecting: Deferred[bytes]) -> Deferred[bytes]:
        self.agent.flush()
        return collecting

    def test_the_whole_body_is_collected(self) -> None:
        self.assertEqual(self.successResultOf(self.outcome(collect(self.response(), len(PICTURE)))), PICTURE)

    def test_a_body_beyond_the_limit_fails(self) -> None:
        self.failureResultOf(self.outcome(collect(self.response(), len(PICTURE) - 1)), SourceTooLarge)

    def test_the_body_waits_for_memory(self) -> None:
        granted: Deferred[None] = Deferred()
        collecting = self.outcome(collect(self.response(), None, lambda _: granted))
        self.assertNoResult(collecting)
        granted.callback(None)
        self.assertEqual(self.successResultOf(self.outcome(collecting)), PICTURE)

    def test_headers_are_those_of_the_origin(self) -> None:
        self.assertEqual(kept_headers(self.response())["content-type"], "image/png")
        self.assertEqual(joined_headers(self.response())["content-type"], "image/png")
        self.assertEqual(self.response().length, len(PICTURE))
