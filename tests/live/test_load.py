"""More work than there is room for: refused at once, and nobody else's fault."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.live._pictures import encode, gradient
from tests.live._process import Origin, Reply, twistd, wait_for


class LoadTests(SynchronousTestCase):
    def origin(self) -> Origin:
        made = Origin({f"/{number}.png": encode(gradient(40, 30), "PNG") for number in range(8)})
        self.addCleanup(made.close)
        return made

    def test_a_silent_origin_uses_up_its_own_places_only(self) -> None:
        silent, lively = self.origin(), self.origin()
        silent.hold()
        with (
            twistd(
                PROCESSES="1", WORKERS="1", REQUESTS_QUEUE_SIZE="2", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true"
            ) as server,
            ThreadPoolExecutor(3) as clients,
        ):

            def ask(origin: Origin, number: int) -> Reply:
                return server.get(f"/unsafe/w:20/plain/{quote(origin.url(f'/{number}.png'), safe='')}")

            waiting = [clients.submit(ask, silent, number) for number in range(3)]
            wait_for(lambda: len(silent.requests) == 3, "three requests at the silent origin")
            refused = ask(silent, 3)
            self.assertEqual((refused.status, refused.headers["retry-after"]), (429, "1"))
            self.assertEqual(len(silent.requests), 3)
            for number in range(3):
                self.assertEqual(ask(lively, number).status, 200)
            wait_for(
                lambda: b'refusals_total{reason="origin"} 1.0' in server.get("/metrics").body,
                "the refusal in the metrics",
            )
            silent.release()
            self.assertEqual([each.result().status for each in waiting], [200] * 3)
            self.assertEqual(ask(silent, 3).status, 200)
