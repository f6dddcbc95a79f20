"""The `imgforge` command."""

from imgforge.cli._main import main

__all__ = ["main"]
