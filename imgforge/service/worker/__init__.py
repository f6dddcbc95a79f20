"""A process that serves requests: alone, or as one of a supervisor's workers (`worker.main`)."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.service.worker.process import ServingParts, ServingProcess

__all__ = ["ServingParts", "ServingProcess"]

__getattr__ = lazy_door(__name__, {".process": ("ServingParts", "ServingProcess")})
