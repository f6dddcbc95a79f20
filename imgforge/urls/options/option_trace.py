"""Which text of a URL or of a preset set each option: what `imgforge explain` shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["AppliedOption", "OptionTrace", "TracedFields", "by_default"]


class AppliedOption(NamedTuple):
    """An option's *text* in pipeline number *pipeline* (from 0 on), and the *presets* around it, outermost first."""

    text: str
    presets: tuple[str, ...]
    pipeline: int
    default: bool  # whether the outermost preset applies without being named


@dataclass(slots=True)
class OptionTrace:
    """Notes the options while a parser applies them: also those before the one that it refuses.

    `origins` has, for each pipeline, the option that set each field last; `named_format` is that after the source.
    """

    applied: list[AppliedOption] = field(default_factory=list)
    origins: list[dict[str, AppliedOption]] = field(default_factory=list)
    named_format: str | None = None
    by_default: bool = False  # whether the default preset is being applied

    def note(self, text: str, presets: tuple[str, ...], pipeline: int) -> None:
        """The option that is applied next."""
        self.applied.append(AppliedOption(text, presets, pipeline, self.by_default))

    def fields(self) -> dict[str, Any]:
        """The fields of one more pipeline."""
        self.origins.append({})
        return TracedFields(self, self.origins[-1])


@contextmanager
def by_default(trace: OptionTrace | None) -> Iterator[None]:
    """Has *trace* note that what is applied meanwhile is the default preset's."""
    if trace is not None:
        trace.by_default = True
    yield
    if trace is not None:
        trace.by_default = False


class TracedFields(dict[str, Any]):
    """The fields of a pipeline, each with the option that sets it."""

    def __init__(self, trace: OptionTrace, origins: dict[str, AppliedOption]) -> None:
        super().__init__()
        self._trace = trace
        self._origins = origins

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._origins[name] = self._trace.applied[-1]
