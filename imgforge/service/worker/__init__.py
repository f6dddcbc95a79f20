"""A process that serves requests: alone, or as one of a supervisor's workers, which a template forks."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.service.worker.process import ServingParts, ServingProcess
    from imgforge.service.worker.template import HELD_SIGNALS, TEMPLATE_COMMAND, serve_as_template

__all__ = ["HELD_SIGNALS", "TEMPLATE_COMMAND", "ServingParts", "ServingProcess", "serve_as_template"]

__getattr__ = lazy_door(
    __name__,
    {
        ".process": ("ServingParts", "ServingProcess"),
        ".template": ("HELD_SIGNALS", "TEMPLATE_COMMAND", "serve_as_template"),
    },
)
