"""The process that forks the workers of a started server."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

from tests.support.process import ROOT, Twistd, alive, wait_for
from tests.support.service_case import ServiceCase


def layout(pid: int) -> str:
    """Where the C library is in the memory of a process: a fork has it where its parent has it."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return next(line.split("-")[0] for line in lines if "libc.so" in line)


def command(pid: int) -> str:
    """What `ps` shows of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def parent(pid: int) -> int:
    """The process id of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class TemplateTests(ServiceCase):
    def started(self, server: Twistd) -> Twistd:
        server.start()
        wait_for(lambda: len(server.children()) == 2, "two workers")
        return server

    def replaced(self, server: Twistd, number: int) -> None:
        """End a worker by a signal, and wait for its successor."""
        before = server.children()
        os.kill(before[0], number)
        wait_for(lambda: len(set(server.children()) - {before[0]}) == 2, "another worker")
        self.assertEqual(server.get("/status").status, 200)

    def test_workers_are_the_main_process_own_children_and_share_its_code(self) -> None:
        server = self.started(self.server(PROCESSES="2"))
        assert server.process is not None
        self.assertEqual({parent(pid) for pid in server.children()}, {server.process.pid})
        (template,) = server.templates()
        forks = (template, *server.children())
        self.assertEqual({layout(pid) for pid in forks}, {layout(server.process.pid)})
        # A signal to all processes with the main process's command line reaches that one only.
        self.assertEqual([command(pid) for pid in forks], ["imgforge-templ", *2 * ["imgforge-worker"]])
        self.assertEqual(server.stop(), 0)

    def test_versions_and_formats_are_logged_once_by_a_process_that_ends(self) -> None:
        server = self.started(self.server(PROCESSES="2"))
        wait_for(lambda: "cache: " in server.output(), "the last of the lines")
        wait_for(lambda: not server.announcers(), "the end of the process that logs them")
        for line in ("with libvips", "; writes ", "2 processes with ", "cache: "):
            self.assertEqual(server.output().count(line), 1, line)

    def test_template_forks_the_successor_of_a_killed_worker(self) -> None:
        server = self.started(self.server(PROCESSES="2"))
        template = server.templates()
        self.replaced(server, signal.SIGKILL)
        self.assertEqual(server.templates(), template)

    def test_successor_of_a_crashed_worker_is_of_another_template(self) -> None:
        server = self.started(self.server(PROCESSES="2"))
        (first,) = server.templates()
        addresses = layout(first)
        self.replaced(server, signal.SIGSEGV)
        wait_for(lambda: not alive(first), "the end of the first template")
        (second,) = server.templates()
        self.assertEqual({layout(pid) for pid in server.children()}, {addresses, layout(second)})
        self.assertNotEqual(layout(second), addresses)

    def test_death_of_the_template_ends_no_worker(self) -> None:
        server = self.started(self.server(PROCESSES="2"))
        workers, template = server.children(), server.templates()[0]
        os.kill(template, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{template}").exists(), "the template to be reaped")
        self.assertEqual(server.children(), workers)
        self.replaced(server, signal.SIGKILL)

    def test_shutdown_signals_to_all_processes_end_the_server_in_order(self) -> None:
        server = self.server(PROCESSES="2")
        server.wrapper = ("setsid",)
        self.started(server)
        assert server.process is not None
        pids = [*server.children(), *server.templates()]
        os.killpg(server.process.pid, signal.SIGTERM)
        wait_for(lambda: server.ended, "the end of the server")
        self.assertEqual(server.process.returncode, 0, server.output())
        wait_for(lambda: not any(map(alive, pids)), "the end of workers and template")
        self.assertNotIn("another one starts", server.output())

    def test_server_that_twistd_moves_elsewhere_has_a_new_interpreter_as_its_template(self) -> None:
        server = self.server(PROCESSES="2", ALLOW_UNSIGNED="true")
        server.options = ("--umask=027",)
        self.started(server)
        assert server.process is not None
        self.assertNotEqual(layout(server.templates()[0]), layout(server.process.pid))
        umasks = {Path(f"/proc/{pid}/status").read_text().partition("Umask:\t")[2][:4] for pid in server.children()}
        self.assertEqual(umasks, {"0027"})

    def server_that_runs_first(self, program: str) -> Twistd:
        """A server whose processes run *program* before all else, where they are new interpreters."""
        beside = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(beside.cleanup)
        Path(beside.name, "sitecustomize.py").write_text(program)
        server = self.server(PROCESSES="2")
        server.environment = {"PYTHONPATH": os.pathsep.join([beside.name, str(ROOT)])}
        return server

    def test_server_whose_template_cannot_start_ends_with_the_reason(self) -> None:
        server = self.server_that_runs_first(
            "import os, sys\nif 'imgforge.service.worker.template' in sys.orig_argv: os._exit(1)\n"
        )
        server.options = ("--umask=027",)
        server.launch()
        wait_for(lambda: server.ended, "the end of the server")
        assert server.process is not None
        self.assertEqual(server.process.returncode, 1)
        server.assert_logged("imgforge cannot start: ")

    def test_workers_are_new_interpreters_where_a_library_starts_a_thread(self) -> None:
        server = self.started(
            self.server_that_runs_first(
                "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
            )
        )
        assert server.process is not None
        pids = (server.process.pid, *server.templates(), *server.children())
        self.assertEqual(len({layout(pid) for pid in pids}), 4)
        self.replaced(server, signal.SIGKILL)
        self.assertEqual(server.stop(), 0)
