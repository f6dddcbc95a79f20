"""Whether the server fetches a source at all: its scheme, and the operator's list. Hosts are not looked up."""

from __future__ import annotations

from collections.abc import Iterator

from imgforge.config import Settings
from imgforge.errors import ImgforgeError, SourceRefused
from imgforge.plugins import find_plugins
from imgforge.service.explanation.values import VARIABLE
from imgforge.sources import SOURCE_PLUGINS, SWITCHES, AllowedSources, scheme_of, unknown_scheme

__all__ = ["source_refusals"]


def source_refusals(settings: Settings, source: str, *, samples: bool) -> Iterator[ImgforgeError]:
    """The errors with which the registry of sources refuses *source*; one of a playground has *samples*."""
    known = {"http", "https", *(("sample",) if samples or settings.embedded else ())}
    known |= {name for name, variable in SWITCHES.items() if getattr(settings, _name(variable))}
    if scheme_of(source) not in known:
        # A plugin may serve it: only where it is switched on, which the plugin alone knows.
        plugins = find_plugins(SOURCE_PLUGINS).factories.values()
        known |= {scheme for factory in plugins for scheme in factory.schemes}
        if scheme_of(source) not in known:
            yield unknown_scheme(source, known)
            return
    if not AllowedSources(settings.allowed_sources).allow(source):
        yield SourceRefused("the source is not among those that this server allows")


def _name(variable: str) -> str:
    return variable.removeprefix(VARIABLE).lower()
