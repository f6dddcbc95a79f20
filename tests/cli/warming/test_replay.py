"""The pace of a replay, what it counts, and the file that keeps what is done."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.error import ConnectionRefusedError as ConnectionRefused
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli.warming import Replay, ReplaySettings, ResumeFile, Tally, WrongResumeFile


class Client:
    """A server that answers when the test wants it to; the paths that it was asked for."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Deferred[Any]]] = []

    async def request(self, method: str, path: bytes, headers: object, take: object) -> Any:
        answer: Deferred[Any] = Deferred(lambda answer: answer.errback(ConnectingCancelledError(None)))
        self.waiting.append((path, answer))
        return await answer

    def close(self) -> None:
        """Nothing to close."""


class PaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.client = Client()
        self.done: list[bytes] = []

    def replay(self, count: int, settings: ReplaySettings) -> tuple[Replay, Deferred[None]]:
        paths = ((b"/%d" % number, b"%d" % number) for number in range(count))
        client: Any = self.client
        replay = Replay(client, self.clock, paths, settings, self.done.append)
        return replay, Deferred.fromCoroutine(replay.run())

    def fail_all(self) -> None:
        waiting, self.client.waiting = self.client.waiting, []
        for _, answer in waiting:
            if not answer.called:
                answer.errback(ConnectionRefused())

    def test_no_more_requests_than_wanted_are_under_way(self) -> None:
        _, running = self.replay(9, ReplaySettings(concurrency=3))
        self.assertEqual([path for path, _ in self.client.waiting], [b"/0", b"/1", b"/2"])
        self.fail_all()
        self.assertEqual([path for path, _ in self.client.waiting], [b"/3", b"/4", b"/5"])
        self.fail_all()
        self.fail_all()
        self.successResultOf(running)

    def test_no_more_requests_than_wanted_begin_in_a_second(self) -> None:
        self.replay(100, ReplaySettings(concurrency=50, rate=4))
        for seconds in range(1, 6):
            self.clock.pump([0.25] * 4)
            self.assertEqual(len(self.client.waiting), 1 + 4 * seconds)

    def test_a_request_that_takes_too_long_is_a_timeout(self) -> None:
        replay, running = self.replay(2, ReplaySettings(concurrency=1, timeout=9))
        self.clock.advance(8.9)
        self.assertEqual(len(self.client.waiting), 1)
        self.clock.advance(0.2)
        self.assertEqual((len(self.client.waiting), replay.tally.failures), (2, {"timeout": 1}))
        self.fail_all()
        self.successResultOf(running)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([], []))

    def test_an_interrupt_ends_what_is_under_way_and_what_waits(self) -> None:
        replay, running = self.replay(100, ReplaySettings(concurrency=5, rate=1))
        replay.interrupt()
        self.successResultOf(running)
        self.assertEqual((len(self.client.waiting), replay.tally.requests, self.clock.getDelayedCalls()), (1, 0, []))

    def test_any_other_error_is_a_failure_of_one_path(self) -> None:
        replay, running = self.replay(2, ReplaySettings(concurrency=1))
        for _ in range(2):
            self.client.waiting.pop()[1].errback(ValueError("a certificate, say"))
        self.successResultOf(running)
        self.assertEqual((replay.tally.failures, self.done), ({"broken": 2}, []))

    def test_a_failure_of_the_caller_ends_it(self) -> None:
        def paths() -> Any:
            yield b"/0", b"0"
            raise OSError("no space left")

        client: Any = self.client
        replay = Replay(client, self.clock, paths(), ReplaySettings(concurrency=3), self.done.append)
        running = Deferred.fromCoroutine(replay.run())
        self.failureResultOf(running, OSError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TallyTests(SynchronousTestCase):
    def test_answers_are_counted_by_the_cache_that_had_them(self) -> None:
        tally = Tally()
        for status in (
            "imgforge; fwd=miss; detail=MISS",
            'imgforge; hit; detail="HIT memory"',
            'imgforge; hit; detail="HIT disk stale"',
            'imgforge; hit; detail="HIT disk stale", cdn; hit; detail="HIT edge"',
            'imgforge; fwd=stale; fwd-status=304; detail="HIT memory revalidated"',
            "cdn; hit; detail=MISS",
            "",
        ):
            tally.succeeded(status, 10)
        tally.failed("404")
        report = tally.report()
        self.assertEqual(report["hits"], {"HIT memory": 1, "HIT disk stale": 2, "HIT memory revalidated": 1})
        self.assertEqual((report["made"], report["unmarked"], report["failures"]), (1, 2, {"404": 1}))
        self.assertEqual((report["requests"], report["bytes"]), (8, 70))

    def test_a_server_that_invents_states_fills_no_memory(self) -> None:
        tally = Tally()
        for number in range(1000):
            tally.succeeded(f"imgforge; hit; detail=HIT {number}", 1)
        self.assertEqual((len(tally.hits), tally.hits["other"], tally.requests), (51, 950, 1000))


class ResumeFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "resume")

    def file(self, base_url: str = "http://h") -> ResumeFile:
        return ResumeFile(str(self.path), base_url)

    def test_it_keeps_what_is_done_until_all_is(self) -> None:
        for known in ([], [b"/a", b"/b"], [b"/a", b"/b", b"/a", b"/b"]):
            file = self.file()
            self.assertEqual(list(file.done()), known)
            file.open()
            file.add(b"/a")
            file.add(b"/b")
            file.close(finished=len(known) == 4)
        self.assertFalse(self.path.exists())

    def test_a_line_that_was_cut_off_spoils_no_other(self) -> None:
        self.path.write_bytes(b"imgforge warm http://h\n/a\n/b/c")
        file = self.file()
        file.open()
        file.add(b"/d")
        file.close(finished=False)
        self.assertEqual(list(file.done()), [b"/a", b"/b/c", b"/d"])

    def test_other_files_are_refused(self) -> None:
        for content, words in (
            (b"imgforge warm http://other\n/a\n", "against http://other"),
            (b"\0" * 99_999, "no resume file"),
        ):
            self.path.write_bytes(content)
            with self.assertRaisesRegex(WrongResumeFile, words):
                list(self.file().done())
            self.assertEqual(self.path.read_bytes(), content)
