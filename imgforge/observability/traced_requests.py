"""The exemplars of a traced request: in the histogram of requests, and in those of the steps that it waited for."""

from __future__ import annotations

from collections.abc import Callable

from imgforge.model import InfoRequest
from imgforge.observability.exemplars import Exemplars
from imgforge.observability.histogram_bounds import REQUEST_SECONDS, WORK_SECONDS, method_label
from imgforge.observability.request_record import RequestRecord, Stage

__all__ = ["note_exemplars"]

# The histogram of a stage, and whether it has the label `operation`.
_HISTOGRAMS = {
    Stage.FETCH: ("source_image_fetch_duration_seconds", False),
    Stage.WAIT: ("image_operation_semaphore_wait_duration_seconds", True),
    Stage.PROCESS: ("image_operation_execution_duration_seconds", True),
}


def note_exemplars(exemplars: Exemplars, named: Callable[[str], str], record: RequestRecord) -> None:
    """Notes the trace of *record* in *exemplars* for each histogram; *named* puts the namespace before a name."""
    labels = {"method": method_label(record.method), "path": record.route}
    histogram = named("http_requests_duration_seconds")
    exemplars.note(histogram, labels, REQUEST_SECONDS, record.duration, record.trace_id)
    operation = {"operation": "info" if isinstance(record.image, InfoRequest) else "process"}
    for step in record.work.steps:
        if step.name in _HISTOGRAMS:
            name, has_operation = _HISTOGRAMS[Stage(step.name)]
            seconds, labels = step.ended - step.began, operation if has_operation else {}
            exemplars.note(named(name), labels, WORK_SECONDS, seconds, record.trace_id)
