"""The proxy of the tests does the harm that it is asked for, and none else."""

from __future__ import annotations

import http.client

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fault_proxy import PASS, RESET, Fault, FaultProxy, answer
from tests.support.loopback_server import DEADLINE
from tests.support.process import Origin


class FaultProxyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.origin = Origin({"/a": b"0123456789"}, {"ETag": '"1"'})
        self.proxy = FaultProxy(self.origin.url("").removeprefix("http://"))
        self.addCleanup(self.origin.close)
        self.addCleanup(self.proxy.close)

    def get(self, fault: Fault, target: str = "/a", **headers: str) -> tuple[int, bytes, str]:
        self.proxy.choose = lambda _: fault
        connection = http.client.HTTPConnection(self.proxy.host, timeout=DEADLINE)
        self.addCleanup(connection.close)
        connection.putrequest("GET", target)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers["ETag"] or ""

    def test_requests_and_answers_pass_unchanged(self) -> None:
        self.assertEqual(self.get(PASS, X="y"), (200, b"0123456789", '"1"'))
        self.assertEqual(self.get(PASS, "//b/../c%2f?d=+")[0], 404)
        self.assertEqual(self.origin.requests[1][0], "//b/../c%2f?d=+".replace("//", "/", 1))  # http.server folds it
        self.assertEqual(self.proxy.targets(), ["/a", "//b/../c%2f?d=+"])
        self.assertEqual(self.origin.requests[0][1]["x"], "y")
        self.assertEqual(self.origin.requests[0][1]["host"], self.proxy.host)

    def test_an_answer_of_its_own(self) -> None:
        self.assertEqual(self.get(answer(503, "slow down", ETag="none")), (503, b"slow down", "none"))
        self.assertEqual(self.origin.requests, [])

    def test_harm(self) -> None:
        with self.assertRaises(ConnectionResetError):
            self.get(RESET)
        for fault in (Fault(cut=4), Fault(lie=5)):
            with self.assertRaises(http.client.IncompleteRead):
                self.get(fault)
        self.proxy.release()
        with self.assertRaises(http.client.IncompleteRead):
            self.get(Fault(cut=4, stall=True))
        with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
            self.get(Fault(cut=4, reset=True))
        self.assertEqual(self.get(Fault(lie=-3)), (200, b"0123456", '"1"'))
        self.assertEqual(self.get(Fault(headers=(("ETag", '"2"'),))), (200, b"0123456789", '"2"'))
