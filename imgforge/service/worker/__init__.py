"""A process that serves requests: alone, or as one of a supervisor's workers (`worker.main`)."""

from imgforge.service.worker.process import ServingParts, ServingProcess

__all__ = ["ServingParts", "ServingProcess"]
