"""One parsed image URL."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.model.client_hints import NO_HINTS, Hints
from imgforge.model.options import DeliveryOptions, ProcessingOptions

__all__ = ["ImageRequest"]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One parsed image URL: the source, its processing and its delivery.

    Attributes
    ----------
    source
        The URL of the original.
    options
        The processing of the first pipeline.
    chained
        The processing of further pipelines, each of which works on the result of the one before.
    delivery
        The options about the answer rather than the pixels.
    presets
        The presets that the URL names, in order.
    passed
        Headers of the client's request that are passed to the origin, by name in lower case.
    hints
        The client hints that replace options which the URL leaves unset.
    unset
        The names of `Hints` that the URL leaves unset, so that a client hint may set them.
    """

    source: str
    options: ProcessingOptions = ProcessingOptions()
    chained: tuple[ProcessingOptions, ...] = ()
    delivery: DeliveryOptions = DeliveryOptions()
    presets: tuple[str, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
    hints: Hints = NO_HINTS
    unset: frozenset[str] = field(default=frozenset(), compare=False)
