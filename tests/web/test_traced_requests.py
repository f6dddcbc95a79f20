"""A request that is traced leaves its trace beside the histogram in which it is counted."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from imgforge.observability import IRequestObserver, RequestRecord
from imgforge.web import Answer
from tests.support.site_case import SiteCase

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@implementer(IRequestObserver)
class Tracer:
    """Samples requests that ask for it."""

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        record.trace_id = TRACE if header(b"sampled") else ""

    def ended(self, record: RequestRecord) -> None:
        """Nothing: the record is complete."""


class TracedRequestTests(SiteCase):
    observers = (Tracer(),)

    def exemplars(self) -> list[str]:
        self.metrics.flush()
        text = self.metrics.flushed(openmetrics=True)[0].decode()
        return [line for line in text.splitlines() if "trace_id" in line]

    def test_trace_is_beside_the_bucket_of_the_request(self) -> None:
        self.ask(b"GET /slow HTTP/1.1\r\nHost: x\r\nSampled: yes\r\n\r\n")
        self.clock.advance(2.0)
        self.assertEqual(self.exemplars(), [])
        self.slow.callback(Answer(200, [], b"body"))
        (line,) = self.exemplars()
        bucket = 'http_requests_duration_seconds_bucket{le="2.5",method="GET",path="s"} 1.0'
        self.assertTrue(line.startswith(f'{bucket} # {{trace_id="{TRACE}"}} 2.0'), line)

    def test_request_that_is_not_sampled_has_none(self) -> None:
        self.ask(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(self.exemplars(), [])
