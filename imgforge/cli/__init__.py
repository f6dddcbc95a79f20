"""The `imgforge` command."""

from imgforge.cli.main import main

__all__ = ["main"]
