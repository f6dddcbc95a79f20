"""The judgement of soak clients on the answers that they get (bench/soak_clients.py)."""

from __future__ import annotations

import socket
from random import Random
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from bench.soak_clients import REFUSED, ClientAction, SoakTarget, garbage, hit
from imgforge.testing import Origin, response


class SoakClientTests(SynchronousTestCase):
    """One action on a server whose answer the test gives."""

    def setUp(self) -> None:
        self.server = Origin()
        self.addCleanup(self.server.close)

    def outcome(self, action: ClientAction, answer: bytes) -> str:
        def send_and_close(connection: socket.socket) -> None:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)

        self.server.answers["/unsafe/rs:fit:80:0/plain/http://o/hot/0.jpg@jpg"] = send_and_close
        expected_bodies = {(0, 80): b"right"}
        target = SoakTarget(("127.0.0.1", self.server.port), "http://o", expected_bodies, (), (), "", "")
        return action(target, Random(1))

    def test_only_the_expected_body_is_correct_and_429_is_a_refusal(self) -> None:
        self.assertEqual(self.outcome(hit, response(b"right")), "")
        self.assertEqual(self.outcome(hit, response(b"wrong")), "wrong pixels")
        self.assertEqual(self.outcome(hit, response(b"", "429 Too Many Requests")), REFUSED)
        self.assertIn("status 500", self.outcome(hit, response(b"oops", "500 Oops")))
        self.assertIn("status 0", self.outcome(hit, b""))

    def test_malformed_request_must_get_at_most_one_answer_and_that_an_error(self) -> None:
        for answer, correct in (
            (b"", True),
            (response(b"", "400 Bad"), True),
            (response(b""), False),
            (response(b"", "400 Bad") * 2, False),
        ):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                thread = Thread(target=self.answer_once, args=(listener, answer))
                thread.start()
                target = SoakTarget(listener.getsockname(), "", {}, (), (), "", "")
                self.assertEqual(garbage(target, Random(1)) == "", correct, answer)
                thread.join()

    @staticmethod
    def answer_once(listener: socket.socket, answer: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 20)
            connection.sendall(answer)
