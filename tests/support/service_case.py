"""Started servers, each with settings of its own."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd

__all__ = ["ServiceCase"]


class ServiceCase(SynchronousTestCase):
    def server(self, *arguments: str, **settings: str) -> Twistd:
        server = Twistd(settings, arguments)
        self.addCleanup(server.clean)
        return server

    def slow_origin(self, delay: float) -> Origin:
        origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")}, delay=delay)
        self.addCleanup(origin.close)
        return origin
