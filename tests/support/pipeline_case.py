"""A whole pipeline in the test's own reactor: real origins, fetches and pictures, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from imgforge.cache import Cache, MemoryTier
from imgforge.model import ImageRequest, ProcessingOptions
from imgforge.observability import Metrics
from imgforge.pipeline import (
    Admission,
    CachedResult,
    CachesSettings,
    Pipeline,
    PipelineParts,
    PipelineSettings,
    Quarantine,
    RenderThreads,
    StalenessPolicy,
    make_caches,
)
from imgforge.processing import ProcessingSettings
from imgforge.sources import AddressPolicy, SourceRegistry, SourceSettings
from tests.support.pictures import encode, gradient
from tests.support.scripted_origin import ScriptedOrigin, reactor, response

__all__ = ["Photo", "PipelineCase"]

PNG = encode(gradient(40, 30), "PNG")


class MovedReactor:
    """The reactor, whose clock stands still until a test moves it: `ahead` is in seconds, and may be negative."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def seconds(self) -> float:
        return 1_800_000_000.0 + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


@dataclass
class Photo:
    """One picture as its origin answers it; `asked` are the heads of the requests, in lower case.

    Answers wait while `held` has not fired.
    """

    body: bytes = PNG
    headers: dict[str, str] = field(default_factory=dict)
    status: str = "200 OK"
    asked: list[str] = field(default_factory=list)
    held: Deferred[None] | None = None

    def answer(self, head: bytes) -> Callable[[Any], None]:
        """See `ScriptedOrigin`."""
        asked = head.decode().lower()
        self.asked.append(asked)
        etag = self.headers.get("ETag", "-")
        if self.status == "200 OK" and f"if-none-match: {etag}" in asked:
            lines = [f"{name}: {value}" for name, value in self.headers.items()]
            reply = "\r\n".join(["HTTP/1.1 304 Not Modified", *lines]).encode() + b"\r\n\r\n"
        else:
            reply = response(self.body, self.status, **self.headers)

        def write(transport: Any) -> None:
            if self.held is None:
                transport.write(reply)
            else:
                self.held.addCallback(lambda _: transport.write(reply))

        return write

    @property
    def fetches(self) -> int:
        """The number of requests to the origin."""
        return len(self.asked)


class PipelineCase(TestCase):
    """A test with pipelines and origins that it closes at its end."""

    def setUp(self) -> None:
        self.clock = MovedReactor()
        self.photo = Photo()
        self.url = self.origin(self.photo).url("/a.png")

    def origin(self, photo: Photo) -> ScriptedOrigin:
        origin = ScriptedOrigin(photo.answer)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        return origin

    def pipeline(
        self,
        *,
        results: bool = True,
        originals: bool = False,
        root: str = "",
        failures: float = 0.0,
        admission: Admission | None = None,
        memory_bytes: int = 0,
        quarantine: Quarantine | None = None,
        **changes: Any,
    ) -> Pipeline:
        """A pipeline with *results* and *originals* in memory tiers.

        *changes* are fields of `StalenessPolicy` and `PipelineSettings`.
        """
        names = StalenessPolicy.__dataclass_fields__.keys() & changes.keys()
        policy = StalenessPolicy(**{name: changes.pop(name) for name in names})
        sources = SourceRegistry(
            reactor, SourceSettings(addresses=AddressPolicy(allow_loopback=True), local_filesystem_root=root)
        )
        self.addCleanup(sources.close)
        metrics = Metrics()
        clock: Any = self.clock
        threads = RenderThreads(clock, 2, metrics)
        self.addCleanup(threads.stop)

        def cache(wanted: bool) -> Cache | None:
            return Cache(clock, "memory", MemoryTier(64 << 20, 1000)) if wanted else None

        self.caches = make_caches(
            clock,
            CachesSettings(memory_bytes, policy, failures),
            sources,
            metrics,
            results=cache(results),
            originals=cache(originals),
        )
        settings = PipelineSettings(30.0, 0, ProcessingSettings(), b"")
        return Pipeline(
            clock,
            replace(settings, **changes),
            PipelineParts(
                sources=sources,
                caches=self.caches,
                threads=threads,
                admission=admission or Admission(2, 0),
                metrics=metrics,
                quarantine=quarantine or Quarantine(),
            ),
        )

    def request(self, url: str = "", **options: Any) -> ImageRequest:
        """A request for the picture at *url*, by default the first origin's."""
        wanted: dict[str, Any] = {"width": 20, "format": "png"} | options
        return ImageRequest(url or self.url, ProcessingOptions(**wanted))

    def begin(self, pipeline: Pipeline, request: ImageRequest) -> Deferred[CachedResult]:
        """The result of *request*, under way."""
        return Deferred.fromCoroutine(pipeline.image(request))
