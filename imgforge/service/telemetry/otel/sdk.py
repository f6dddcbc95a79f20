"""OpenTelemetry's SDK as the settings and the OTEL_* variables want it; no thread is started here."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping

from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from imgforge.service.telemetry.otel.sampling import make_sampler

__all__ = ["make_id_generator", "make_provider", "make_resource", "propagator"]


def propagator() -> TextMapPropagator:
    """The propagators of OTEL_PROPAGATORS, which are tracecontext and baggage by default."""
    return get_global_textmap()


def make_resource(defaults: Mapping[str, str]) -> Resource:
    """What all that this process sends says of it: *defaults*, where the OTEL_* variables do not say otherwise.

    Each process is an instance of its own, as the metrics of two must not be taken for those of one.
    """
    given = OTELResourceDetector().detect().attributes
    own: dict[str, str | int] = {**defaults, "service.instance.id": str(uuid.uuid4()), "process.pid": os.getpid()}
    return Resource.create({name: value for name, value in own.items() if name not in given})


def make_id_generator(name: str) -> IdGenerator:
    """The generator *name*: xray or random."""
    if name == "random":
        return RandomIdGenerator()
    from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator

    return AwsXRayIdGenerator()


def make_provider(resource: Resource, ids: IdGenerator, processors: SynchronousMultiSpanProcessor) -> TracerProvider:
    """A provider whose spans go to *processors*; the sampler is that of OTEL_TRACES_SAMPLER.

    Nothing is left to `atexit`: a worker ends without it.
    """
    return TracerProvider(
        sampler=make_sampler(os.environ),
        resource=resource,
        id_generator=ids,
        active_span_processor=processors,
        shutdown_on_exit=False,
    )
