"""Whether a path that is signed would be refused: by the parser of the server, under the settings at hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from imgforge.cli.known_forms import KnownForms
from imgforge.error_catalogue import entry_of
from imgforge.errors import BadOption, BadPath, ImgforgeError
from imgforge.service import url_settings
from imgforge.urls import UrlParser

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["PathWarning"]

_MOST = 10  # paths of a batch that are named
_SHOWN = 60  # characters of a path


class PathWarning:
    """Warns of paths without signature that the server would refuse, on standard error; the first of a batch by name.

    The server may have other settings: nothing is said of options that it may allow, nor of presets and encrypted
    sources where none are set here.
    """

    def __init__(self, settings: Settings) -> None:
        rules = url_settings(settings)
        self._parser = UrlParser(replace(rules, keys=(), allow_unsigned=True, path_prefix=""))
        self._forms = KnownForms(rules)
        self._doubtful = {
            anchor
            for anchor, known in (
                ("unknown-preset", rules.presets or rules.info_presets),
                ("encrypted-source", rules.encryption_key),
            )
            if not known
        }
        self._number = 0

    def check(self, path: str) -> None:
        """Warns of *path*, of an image or of `/info`, if it is bad as either."""
        if path in self._forms:
            return
        reason = self._reason(path)
        if not reason:
            self._forms.add(path)
            return
        self._number += 1
        if self._number <= _MOST:
            shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
            click.echo(f"warning: a server with these settings refuses {shown!r}: {reason}", err=True)

    def finish(self) -> None:
        """Says how many there were, where not all were named."""
        if self._number > _MOST:
            click.echo(f"warning: a server with these settings refuses {self._number} of these paths", err=True)

    def _reason(self, path: str) -> str:
        try:
            target = f"/unsafe{path}".encode()
        except UnicodeError:
            return ""
        try:
            self._parser.parse(target)
        except (BadOption, BadPath) as error:
            entry = entry_of(error)
            if entry is None or entry.anchor in self._doubtful:
                return ""
            return "" if self._is_info(target) else str(error)
        except ImgforgeError:
            return ""
        return ""

    def _is_info(self, target: bytes) -> bool:
        """Whether *target* is good for `/info`, whose signature covers the path after it, or may be."""
        try:
            self._parser.parse_info(target)
        except (BadOption, BadPath) as error:
            entry = entry_of(error)
            return entry is None or entry.anchor in self._doubtful
        except ImgforgeError:
            return True
        return True
