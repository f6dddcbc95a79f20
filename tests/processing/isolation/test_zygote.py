"""Decoder processes: bounded, without descriptors or privileges, one for a file, gone with their zygote and worker."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import DecoderLost, ImgforgeError, NotAnImage, RequestTimeout
from imgforge.model import ProcessingOptions
from imgforge.processing import Cancellation, ProcessingSettings, process
from imgforge.processing.isolation import decoder_usage
from tests.support.decoder_processes import busy_decoders, decoders, until, zygotes

_TWIRL = '<filter id="f"><feTurbulence baseFrequency=".05" numOctaves="100000"/></filter>'
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{0}">{1}</svg>'
ENDLESS = _SVG.format(4000, f'{_TWIRL}<rect width="4000" height="4000" filter="url(#f)"/>').encode()
STYLED = _SVG.format(40, "<style>text{fill:red!important}</style><text y='30'>a</text>").encode()
# A second of CPU; and more memory than a process may have.
SLOW = _SVG.format(1000, _TWIRL.replace("100000", "9") + '<rect width="1000" height="1000" filter="url(#f)"/>').encode()
HUGE = _SVG.format(9999, '<g style="mask:url(#m)"><mask id="m"/>' * 40 + "<path d='M0 0H9'/>" + "</g>" * 40).encode()
_WORKER = f"""
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process
process({ENDLESS!r}, ProcessingOptions(format="png"), ProcessingSettings())
"""


def made(document: bytes, cancellation: Cancellation | None = None) -> bytes:
    options = ProcessingOptions(format="png")
    return process(document, options, ProcessingSettings(), cancellation=cancellation).body


def has_ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


class Drawing:
    """A thread that draws what never ends, and the process that does so."""

    def __init__(self) -> None:
        self.failure: ImgforgeError | None = None
        self._cancellation = Cancellation()
        self._thread = threading.Thread(target=self._draw)
        self._thread.start()
        assert until(lambda: busy_decoders(os.getpid()))
        (self.pid,) = busy_decoders(os.getpid())

    def _draw(self) -> None:
        try:
            made(ENDLESS, self._cancellation)
        except ImgforgeError as failure:
            self.failure = failure

    def cancel(self) -> None:
        self._cancellation.cancel()

    def end(self) -> ImgforgeError | None:
        self._thread.join(60)
        return self.failure


class ProcessTests(SynchronousTestCase):
    def _drawing(self) -> Drawing:
        drawing = Drawing()
        self.addCleanup(until, lambda: not busy_decoders(os.getpid()))
        self.addCleanup(drawing.end)
        self.addCleanup(drawing.cancel)
        return drawing

    def test_a_process_is_bounded_and_has_nothing_of_the_workers(self) -> None:
        os.environ["IMGFORGE_SECRET"] = "hush"
        self.addCleanup(os.environ.pop, "IMGFORGE_SECRET")
        pid = self._drawing().pid
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_AS), (2 << 30, 2 << 30))
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_CPU), (10, 10))
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_FSIZE), (0, 0))
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_CORE), (0, 0))
        self.assertIn("NoNewPrivs:\t1", Path(f"/proc/{pid}/status").read_text())
        self.assertNotIn(b"hush", Path(f"/proc/{pid}/environ").read_bytes())
        self.assertNotIn(b"PATH=", Path(f"/proc/{pid}/environ").read_bytes())
        opened = {one.name: os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()}
        work = [name for name, target in opened.items() if target.startswith("socket:")]
        others = {target for target in opened.values() if not target.startswith(("socket:", "anon_inode:"))}
        self.assertEqual((len(work), others), (1, {"/dev/null"}))

    def test_each_file_gets_a_process_of_its_own(self) -> None:
        before = decoder_usage()["started"]
        self.assertEqual(len({made(STYLED) for _ in range(3)}), 1)
        self.assertEqual(decoder_usage()["started"] - before, 3)
        self.assertTrue(until(lambda: len(decoders(os.getpid())) == 1))  # the one ahead

    def test_the_zygote_has_one_thread(self) -> None:
        made(STYLED)
        (zygote,) = zygotes(os.getpid())
        self.assertEqual(len(os.listdir(f"/proc/{zygote}/task")), 1)

    def test_a_process_that_dies_costs_its_file_only(self) -> None:
        drawing = self._drawing()
        os.kill(drawing.pid, signal.SIGSEGV)
        failure = drawing.end()
        self.assertIsInstance(failure, NotAnImage)
        self.assertIn("gave up", str(failure))
        self.assertTrue(made(STYLED))

    def test_a_cancelled_process_is_killed(self) -> None:
        drawing = self._drawing()
        drawing.cancel()
        self.assertIsInstance(drawing.end(), RequestTimeout)
        self.assertTrue(until(lambda: drawing.pid not in decoders(os.getpid())))

    def test_processes_die_with_their_zygote_and_their_files_are_tried_once_more(self) -> None:
        drawing = self._drawing()
        for pid in (drawing.pid, None):
            (zygote,) = zygotes(os.getpid())
            pid = pid or busy_decoders(os.getpid())[0]
            os.kill(zygote, signal.SIGKILL)
            self.assertTrue(until(partial(has_ended, pid)))
            self.assertTrue(until(lambda: drawing.failure or busy_decoders(os.getpid())))
        self.assertIsInstance(drawing.end(), DecoderLost)
        self.assertTrue(made(STYLED))
        self.assertNotEqual(zygotes(os.getpid()), [zygote])

    def test_a_file_whose_zygote_is_killed_is_decoded_all_the_same(self) -> None:
        expected = made(SLOW)
        results = []
        thread = threading.Thread(target=lambda: results.append(made(SLOW)))
        thread.start()
        self.assertTrue(until(lambda: busy_decoders(os.getpid())))
        os.kill(zygotes(os.getpid())[0], signal.SIGKILL)
        thread.join()
        self.assertEqual(results, [expected])

    def test_a_process_that_ends_by_itself_is_not_tried_again(self) -> None:
        before = decoder_usage()["started"]
        with self.assertRaisesRegex(NotAnImage, "gave up"):
            made(HUGE)
        self.assertEqual(decoder_usage()["started"] - before, 1)

    def test_a_shutdowns_signals_end_no_work(self) -> None:
        drawing = self._drawing()
        (zygote,) = zygotes(os.getpid())
        for pid in (zygote, drawing.pid):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        self.assertTrue(made(STYLED))
        self.assertEqual((zygotes(os.getpid()), busy_decoders(os.getpid())), ([zygote], [drawing.pid]))

    def test_no_process_outlives_its_worker(self) -> None:
        with subprocess.Popen([sys.executable, "-c", _WORKER]) as worker:
            self.assertTrue(until(lambda: busy_decoders(worker.pid)))
            pids = [*zygotes(worker.pid), *decoders(worker.pid)]
            worker.kill()
        self.assertTrue(until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids)))

    def test_the_usage_counts_the_zygote_and_its_processes(self) -> None:
        self._drawing()
        usage = decoder_usage()
        self.assertGreaterEqual(usage["processes"], 2)
        self.assertGreater(usage["memory_bytes"], 10_000_000)
        self.assertGreater(usage["cpu_seconds"], 0)
