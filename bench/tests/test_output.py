"""The tables that programs print (bench/output.py)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.output import markdown_table


class MarkdownTableTests(SynchronousTestCase):
    """Tables for people and for Markdown."""

    def test_numbers_are_aligned_to_the_right(self) -> None:
        self.assertEqual(
            markdown_table(("server", "n"), [("a", 5), ("longer one", 1000)]).splitlines(),
            [
                "| server     |    n |",
                "| ---------- | ---: |",
                "| a          |    5 |",
                "| longer one | 1000 |",
            ],
        )
