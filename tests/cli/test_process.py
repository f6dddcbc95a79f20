"""The command in a process of its own: what the shell sees of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge import __version__
from tests.support.cli import imgforge
from tests.support.fresh_python import output_of


class ProcessTests(SynchronousTestCase):
    def test_results_go_to_stdout_and_errors_to_stderr_with_an_exit_status(self) -> None:
        printed = imgforge("--version")
        self.assertEqual((printed.returncode, printed.stderr), (0, ""))
        self.assertIn(__version__, printed.stdout)
        failed = imgforge("config", "check", IMGFORGE_QUALITY="0")
        self.assertEqual((failed.returncode, failed.stdout, len(failed.stderr.splitlines())), (1, "", 1))
        misused = imgforge("sign")
        self.assertEqual((misused.returncode, misused.stdout), (2, ""))
        self.assertIn("give either PATH or --source", misused.stderr)

    def test_version_and_help_import_no_library_but_click(self) -> None:
        """As completion needs: the shell waits for the program each time that TAB is pressed."""
        program = (
            "import sys; from imgforge.cli import main; main(['--version'], standalone_mode=False)\n"
            "for name in main.commands: main([name, '--help'], standalone_mode=False)\n"
            "print([name for name in ('pyvips', 'twisted', 'rich', 'h11', 'msgspec') if name in sys.modules])"
        )
        shown = output_of(program)
        self.assertIn("bench [OPTIONS]", shown)
        self.assertEqual(shown.splitlines()[-1], "[]")
