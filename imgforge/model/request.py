"""One parsed image URL."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.model.client_hints import NO_HINTS, Hints
from imgforge.model.options import DeliveryOptions, ProcessingOptions

__all__ = ["ImageRequest"]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One parsed image URL: the source, what to make of it, and how to deliver it.

    `then` are the options of chained pipelines, each of which works on the result before. `presets` are the names that
    the URL used, in order. `passed` are headers of the client's, by name in lower case, that the origin is to be told.
    `unset` are the options of `Hints` that the URL leaves open.
    """

    source: str
    options: ProcessingOptions = ProcessingOptions()
    then: tuple[ProcessingOptions, ...] = ()
    delivery: DeliveryOptions = DeliveryOptions()
    presets: tuple[str, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
    hints: Hints = NO_HINTS
    unset: frozenset[str] = field(default=frozenset(), compare=False)
