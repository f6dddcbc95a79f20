"""What OTEL_TRACES_SAMPLER and OTEL_PROPAGATORS name. The SDK takes a sampler that it does not know for "all requests".

Only `make_sampler` needs the SDK: the mistakes are looked for in the supervisor, which does not import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["heeds_parents", "hit_ratio", "is_custom", "make_sampler", "sampling_mistakes"]

_SAMPLER = "OTEL_TRACES_SAMPLER"
_ARGUMENT = "OTEL_TRACES_SAMPLER_ARG"
_PROPAGATORS = "OTEL_PROPAGATORS"
_RATIOS = frozenset({"traceidratio", "parentbased_traceidratio"})
_NONE = frozenset({"always_off", "parentbased_always_off"})
_KNOWN = ("parentbased_always_on", "always_on", *sorted(_NONE), *sorted(_RATIOS))
_SAMPLER_GROUP = "opentelemetry_traces_sampler"
_PROPAGATOR_GROUP = "opentelemetry_propagator"


def heeds_parents(environ: Mapping[str, str]) -> bool:
    """Whether a request is traced because its client's is."""
    return is_custom(environ) or _name(environ).startswith("parentbased")


def sampling_mistakes(environ: Mapping[str, str]) -> Iterator[str]:
    """One line for each of the variables that is no sampler, no ratio, or no propagator."""
    name = _name(environ)
    if is_custom(environ):
        if not entry_points(group=_SAMPLER_GROUP, name=name):
            yield f"{_SAMPLER}={name!r} must be {', '.join(_KNOWN)}, or a sampler that is installed"
    elif name in _RATIOS:
        try:
            _ratio(environ)
        except ValueError:
            yield f"{_ARGUMENT}={environ[_ARGUMENT]!r} must be a number from 0 to 1, such as 0.01 for one of a hundred"
    for propagator in (environ.get(_PROPAGATORS) or "none").split(","):
        found = propagator.strip()
        if found.lower() == "none":
            return
        if not entry_points(group=_PROPAGATOR_GROUP, name=found):
            known = sorted({one.name for one in entry_points(group=_PROPAGATOR_GROUP)})
            yield f"{_PROPAGATORS} has {found!r}, which is none of {', '.join((*known, 'none'))}"


def make_sampler(environ: Mapping[str, str]) -> Sampler:
    """The sampler of OTEL_TRACES_SAMPLER; one that is none of OpenTelemetry's is made by its entry point."""
    from opentelemetry.sdk.trace import sampling

    name = _name(environ)
    if is_custom(environ):
        (found, *_) = entry_points(group=_SAMPLER_GROUP, name=name)
        made: Sampler = found.load()(environ.get(_ARGUMENT))
        return made
    if name == "traceidratio":
        return sampling.TraceIdRatioBased(_ratio(environ))
    if name == "parentbased_traceidratio":
        return sampling.ParentBasedTraceIdRatio(_ratio(environ))
    return {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "parentbased_always_on": sampling.DEFAULT_ON,
        "parentbased_always_off": sampling.DEFAULT_OFF,
    }[name]


def hit_ratio(environ: Mapping[str, str]) -> float:
    """The share of requests without a parent that OTEL_TRACES_SAMPLER samples, from 0 to 1; 1 for a custom sampler."""
    name = _name(environ)
    if name in _NONE or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return 0.0
    return _ratio(environ) if name in _RATIOS else 1.0


def is_custom(environ: Mapping[str, str]) -> bool:
    """Whether the sampler is none of OpenTelemetry's."""
    return _name(environ) not in _KNOWN


def _name(environ: Mapping[str, str]) -> str:
    """The sampler's name, that of OpenTelemetry's in lower case, as the SDK takes them."""
    name = environ.get(_SAMPLER, "").strip() or _KNOWN[0]
    return name.lower() if name.lower() in _KNOWN else name


def _ratio(environ: Mapping[str, str]) -> float:
    """The sampler's ratio; 1 where none is given, as OpenTelemetry has it. `ValueError` for what is none."""
    ratio = float(environ.get(_ARGUMENT, "").strip() or 1.0)
    if not 0.0 <= ratio <= 1.0:
        raise ValueError("not from 0 to 1")
    return ratio
