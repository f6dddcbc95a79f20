"""What people who know other servers type first, and how a command ends that cannot go on: a line, and no traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import IO, Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli.command_group import CommandGroup
from tests.cli.runner import imgforge

_COMMAND = [sys.executable, "-c", "from imgforge.cli import main; main()"]
_KEYS = {"IMGFORGE_KEY": "aa", "IMGFORGE_SALT": "bb"}


def started(
    *arguments: str | bytes, stdout: int | IO[Any] | None = subprocess.PIPE, **more: Any
) -> subprocess.Popen[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **more.pop("env", {})}
    return subprocess.Popen(
        [*_COMMAND, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, **more
    )


class FirstWordTests(SynchronousTestCase):
    def test_words_of_other_servers_are_answered_with_what_to_type(self) -> None:
        for words, hint in (
            (("serve",), "twistd -n imgforge"),
            (("--config", "imgforge.toml"), "twistd -n imgforge"),
            (("-p", "8888"), "twistd -n imgforge"),
            (("version",), "imgforge --version"),
            (("thumbor-url", "-k", "key"), "imgforge sign"),
            (("http://127.0.0.1/unsafe/300x200/a.jpg",), "imgforge explain URL"),
        ):
            shown = imgforge(*words)
            self.assertEqual(shown.returncode, 2)
            self.assertIn(hint, shown.stderr)

    def test_other_mistakes_are_as_they_were(self) -> None:
        self.assertIn("No such command 'nonsense'.", imgforge("nonsense").stderr)
        self.assertIn("Did you mean 'verify'", imgforge("verfy").stderr)
        self.assertIn("No such option '--nonsense'", imgforge("--nonsense").stderr)


class AddressTests(SynchronousTestCase):
    def test_address_that_is_none_is_a_line(self) -> None:
        for arguments in (
            ("top", "-B", "http://["),
            ("purge", "-B", "http://[", "--tag", "a"),
            ("purge", "-B", "http://127.0.0.1:1", "--url", "http://[/a"),
            ("warm", "-B", "http://[", "/dev/null"),
            ("health", "--url", "http://["),
            ("bench", "http://["),
        ):
            shown = imgforge(*arguments, IMGFORGE_PURGE_SECRET="s")
            self.assertEqual((shown.returncode, shown.stdout, len(shown.stderr.splitlines())), (1, "", 1), arguments)
        told = imgforge("explain", "http://[/a", "-B", "http://127.0.0.1:1", IMGFORGE_ALLOW_UNSIGNED="1")
        self.assertIn("cannot be asked for", told.stdout)


class ColourTests(SynchronousTestCase):
    def test_no_color_is_obeyed(self) -> None:
        @click.group(cls=CommandGroup)
        def group() -> None: ...

        @group.command()
        def command() -> None:
            click.secho("text", fg="red")

        for variable, shown in (("1", "text\n"), ("", "\x1b[31mtext\x1b[0m\n")):
            outcome = CliRunner().invoke(group, ["command"], env={"NO_COLOR": variable}, color=True)
            self.assertEqual(outcome.stdout, shown)


class EndTests(SynchronousTestCase):
    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        _, errors = process.communicate(timeout=60)
        self.assertNotIn("Traceback", errors)
        return process.returncode, errors

    def test_output_that_cannot_be_written_is_a_line(self) -> None:
        with open("/dev/full", "w", encoding="ascii") as full:
            for arguments in (("--version",), ("config", "reference")):
                status, errors = self.ended(started(*arguments, stdout=full))
                self.assertEqual(
                    (status, errors), (1, "imgforge: the output cannot be written: No space left on device\n")
                )

    def test_closed_output_is_no_fault(self) -> None:
        for arguments in (("--version",), ("explain", "/unsafe/w:9/plain/http://x/a.jpg")):
            status, _ = self.ended(started(*arguments, stdout=None, preexec_fn=lambda: os.close(1)))
            self.assertEqual(status, 0)

    def test_argument_that_is_not_utf_8_is_told(self) -> None:
        for arguments in (("sign", b"/w:9/\xff"), ("bench", b"http://127.0.0.1:1/\xff")):
            status, errors = self.ended(started(*arguments, env=_KEYS))
            self.assertEqual((status, errors), (2, "imgforge: an argument is not UTF-8\n"))

    def test_interrupt_ends_with_its_status_and_without_a_word(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            for arguments in (("health", "--url", url), ("explain", "--fetch", f"/unsafe/w:9/plain/{url}/a.jpg")):
                process = started(*arguments, env={"IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "1"})
                connection, _ = silent.accept()
                with connection:
                    process.send_signal(signal.SIGINT)
                    self.assertEqual(self.ended(process), (128 + signal.SIGINT, ""))
