"""What may be put into a queue: paths that the server would answer with an image that it caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from imgforge.errors import BadPath, BadRequest, ImgforgeError, SourceRefused
from imgforge.model import ImageRequest
from imgforge.queue.jobs import BROWSER_ACCEPT, RenderJob, new_request_id
from imgforge.urls import UrlParser, build_path

__all__ = ["MOST_PATHS", "Intake", "jobs_of", "path_of", "request_for"]

MOST_PATHS = 1000  # of one POST /render


def path_of(path: str) -> str:
    """*path* as GET would have it; it may be a URL, or have no slash at its beginning."""
    if path.startswith(("http://", "https://")):
        path = path[path.index("//") + 2 :]
        path = path[path.find("/") :] if "/" in path else "/"
    return path if path.startswith("/") else f"/{path}"


def request_for(parser: UrlParser, path: str) -> ImageRequest:
    """The request that GET makes of *path*, which may be a URL; the errors are those of GET."""
    try:
        return parser.parse(path_of(path).encode("utf-8"))
    except UnicodeEncodeError:
        raise BadPath("the path is not UTF-8") from None


def jobs_of(paths: Sequence[str], accept: str = BROWSER_ACCEPT, request: str = "") -> list[RenderJob]:
    """A job for each of *paths*, all of the same *request*; a new one without its name."""
    request = request or new_request_id(len(paths))
    return [RenderJob(path, request, accept) for path in paths]


@dataclass(frozen=True, slots=True)
class Intake:
    """Checks what is to be queued: *sign* signs a path, *allows* says of a source whether it may be fetched.

    *presets_only* is whether results of presets alone are cached; `presets` are made of a source.
    """

    parser: UrlParser
    sign: Callable[[str], str]
    clock: Callable[[], float]
    allows: Callable[[str], bool] = lambda _source: True
    presets: tuple[str, ...] = ()
    separator: str = ":"
    presets_only: bool = False

    def check(self, path: str) -> None:
        """Raises what GET would answer to *path*, or `BadRequest` where the answer would not be cached."""
        request = request_for(self.parser, path)
        delivery = request.delivery
        delivery.check_expiry(self.clock())
        if not self.allows(request.source):
            raise SourceRefused("this source is not among IMGFORGE_ALLOWED_SOURCES")
        if delivery.raw or delivery.bypass_cache or (self.presets_only and not request.presets):
            raise BadRequest("the image would not be cached, so that it cannot be made beforehand")

    def check_all(self, paths: Iterable[str]) -> None:
        """Raises the error of the first of *paths* that has one, with its number."""
        for number, path in enumerate(paths, 1):
            try:
                self.check(path)
            except ImgforgeError as error:
                raise BadRequest(f"path {number}: {error.message}") from error

    def paths_of(self, source: str) -> list[str]:
        """The signed path of each preset of *source*; the errors of `check`."""
        if not self.presets:
            raise BadRequest("a source needs presets to make of it: the server has no IMGFORGE_PRERENDER_PRESETS")
        paths = [self.sign(build_path(source, f"pr{self.separator}{preset}")) for preset in self.presets]
        for path in paths:
            self.check(path)
        return paths
