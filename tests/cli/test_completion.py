"""Completion by the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.support.process import ROOT

# Completes the words of the command line $1 as bash does when TAB is pressed at its end.
_BASH = """
source <(imgforge completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { echo "compopt $1 $2"; }
complete -p imgforge | grep -q _imgforge_completion && _imgforge_completion imgforge
printf '%s\\n' "${COMPREPLY[@]}"
"""


class CompletionTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        program = Path(directory.name, "imgforge")
        program.write_text(f"#!{sys.executable}\nfrom imgforge.cli import main\nmain(prog_name='imgforge')\n")
        program.chmod(0o755)
        self.environment = {"PATH": f"{directory.name}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def run_shell(self, *command: str) -> str:
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def bash(self, line: str) -> set[str]:
        return set(self.run_shell("bash", "-c", _BASH, "bash", line).split("\n")) - {""}

    def test_bash_completes_commands_options_choices_and_files(self) -> None:
        self.assertEqual(self.bash("imgforge conf"), {"config"})
        self.assertLessEqual({"check", "show", "reference", "example"}, self.bash("imgforge config "))
        self.assertEqual(self.bash("imgforge process --sk"), {"--skip-existing"})
        self.assertEqual(self.bash("imgforge completion z"), {"zsh"})
        self.assertEqual(self.bash("imgforge config show --config "), {"compopt -o default"})

    def test_bash_completes_names_of_settings(self) -> None:
        self.assertIn("cache_disk_path", self.bash("imgforge config show cache_d"))
        self.assertIn("IMGFORGE_CACHE_DISK_PATH", self.bash("imgforge config show quality IMGFORGE_CACHE_D"))
        self.assertEqual(self.bash("imgforge config show qualit"), {"quality"})

    def test_other_shells_take_their_script(self) -> None:
        for shell in ("zsh", "fish"):
            script = self.run_shell("imgforge", "completion", shell)
            self.assertIn("_IMGFORGE_COMPLETE", script)
            if shutil.which(shell):
                self.run_shell(shell, "-n", "-c", script)
