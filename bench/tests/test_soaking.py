"""What `bench/soak.py` is made of: clients that judge, slopes, curves, and what a process uses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from random import Random
from threading import Event, Thread
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from bench.process_usage import Usage, children, usage
from bench.soak_clients import REFUSED, ClientAction, SoakTarget, garbage, hit
from bench.soak_run import ResourceSample, slope_per_1000_requests
from bench.svg_plot import Panel, plot
from imgforge.testing import Origin as RawOrigin
from imgforge.testing import response as whole
from tests.support.process import wait_for


class ClientTests(SynchronousTestCase):
    """An act at a server that answers as the test says."""

    def setUp(self) -> None:
        self.server = RawOrigin()
        self.addCleanup(self.server.close)

    def said(self, act: ClientAction, answer: bytes) -> str:
        def say(connection: socket.socket) -> None:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)

        self.server.answers["/unsafe/rs:fit:80:0/plain/http://o/hot/0.jpg@jpg"] = say
        expected = {(0, 80): b"right"}
        return act(SoakTarget(("127.0.0.1", self.server.port), "http://o", expected, (), (), "", ""), Random(1))

    def test_a_good_answer_is_right_to_the_byte(self) -> None:
        self.assertEqual(self.said(hit, whole(b"right")), "")
        self.assertEqual(self.said(hit, whole(b"wrong")), "wrong pixels")
        self.assertEqual(self.said(hit, whole(b"", "429 Too Many Requests")), REFUSED)
        self.assertIn("status 500", self.said(hit, whole(b"oops", "500 Oops")))
        self.assertIn("status 0", self.said(hit, b""))

    def test_garbage_must_not_be_answered_as_if_it_were_a_request(self) -> None:
        for answer, right in (
            (b"", True),
            (whole(b"", "400 Bad"), True),
            (whole(b""), False),
            (whole(b"", "400 Bad") * 2, False),
        ):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                thread = Thread(target=self.answer_once, args=(listener, answer))
                thread.start()
                world = SoakTarget(listener.getsockname(), "", {}, (), (), "", "")
                self.assertEqual(garbage(world, Random(1)) == "", right, answer)
                thread.join()

    @staticmethod
    def answer_once(listener: socket.socket, answer: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 20)
            connection.sendall(answer)


class SlopeTests(SynchronousTestCase):
    def test_it_is_that_of_the_second_half_per_thousand_requests(self) -> None:
        nothing = Usage(0, 0, 0)
        looks = [ResourceSample(number, number * 100, 0, nothing, nothing) for number in range(20)]
        rising = [float(number) for number in range(20)]
        self.assertAlmostEqual(slope_per_1000_requests(looks, rising), 10)
        self.assertAlmostEqual(slope_per_1000_requests(looks, [*rising[:10], *[10.0] * 10]), 0)
        self.assertEqual(slope_per_1000_requests(looks[:2], rising[:2]), 0)


class PlotTests(SynchronousTestCase):
    def test_each_curve_is_a_line_within_its_panel(self) -> None:
        panels = [Panel("a < b", {"x": [0, 5, 10], "y": [0, 0, 0]}), Panel("none", {"z": [0, 0, 0]})]
        root = ElementTree.fromstring(plot([0, 1, 2], panels, [1]))  # noqa: S314  our own
        name = "{http://www.w3.org/2000/svg}"
        lines = [line.get("points", "") for line in root.iter(f"{name}polyline")]
        self.assertEqual(lines[0], "70.0,144.0 450.0,84.0 830.0,24.0")
        self.assertEqual(len(lines), 3)
        self.assertIn("a < b", [label.text for label in root.iter(f"{name}text")])


class UsageTests(SynchronousTestCase):
    def test_descriptors_and_threads_of_a_process_are_counted(self) -> None:
        before = usage(os.getpid(), descendants=False)
        ended = Event()
        threads = [Thread(target=ended.wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        sockets = [socket.socket() for _ in range(4)]
        try:
            after = usage(os.getpid(), descendants=False)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            for one in sockets:
                one.close()
        self.assertEqual((after.threads - before.threads, after.descriptors - before.descriptors), (3, 4))
        self.assertGreater(after.memory, 1 << 20)

    def test_a_process_has_the_children_that_it_started(self) -> None:
        before = children(os.getpid())
        script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
        try:
            wait_for(lambda: children(process.pid), "the grandchild")
            self.assertEqual([child for child in children(os.getpid()) if child not in before], [process.pid])
            alone, together = usage(process.pid, descendants=False), usage(process.pid)
            self.assertGreater(together.threads, alone.threads)
        finally:
            process.communicate(b"\n")
