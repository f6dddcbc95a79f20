"""Pre-rendering: what takes jobs from a queue and has the pipeline make them, in a server and without one."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.service.prerendering.command import WorkerReport, run_worker
    from imgforge.service.prerendering.intake import make_intake, make_queue
    from imgforge.service.prerendering.render_engine import RenderEngine, ThreadedEngine
    from imgforge.service.prerendering.rendition_maker import RenditionMaker
    from imgforge.service.prerendering.sent_elsewhere import log_what_is_sent
    from imgforge.service.prerendering.serving import Prerendering

__all__ = [
    "Prerendering",
    "RenderEngine",
    "RenditionMaker",
    "ThreadedEngine",
    "WorkerReport",
    "log_what_is_sent",
    "make_intake",
    "make_queue",
    "run_worker",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".command": ("WorkerReport", "run_worker"),
        ".intake": ("make_intake", "make_queue"),
        ".render_engine": ("RenderEngine", "ThreadedEngine"),
        ".rendition_maker": ("RenditionMaker",),
        ".sent_elsewhere": ("log_what_is_sent",),
        ".serving": ("Prerendering",),
    },
)
