"""What the page asks its server: signatures for paths, and explanations of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from twisted.internet.threads import deferToThreadPool
from twisted.web.server import Request

from imgforge.demo.gate import PlaygroundGate
from imgforge.errors import BadRequest
from imgforge.interfaces import IServerReactor
from imgforge.web import Answer, whole_body

__all__ = ["Explain", "ExplainEndpoint", "SignEndpoint"]

_LONGEST = 16384  # bytes of a path that the server takes
_MOST_PATHS = 256
# What no client sends as it stands: it would percent-encode it, or end the path there.
_UNSENT = re.compile(r"[^!-~]|[?#]")

_Path = Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST)]

_Pixels = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
# A path, an Accept header and the size of the original, where it is known: what the server makes of them, as JSON.
Explain = Callable[[str, str, "tuple[int, int] | None"], Any]


class _Paths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    paths: Annotated[list[_Path], msgspec.Meta(max_length=_MOST_PATHS)]


class _Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: _Path
    accept: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    size: tuple[_Pixels, _Pixels] | None = None  # of the original


def _read(decoder: Any, request: Request) -> Any:
    try:
        return decoder.decode(whole_body(request))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not what the playground's page sends: {error}") from None


def _check(path: str) -> None:
    unsent = _UNSENT.search(path)
    if not path.startswith("/") or unsent:
        why = f"it has {unsent[0]!r}, which must be percent-encoded" if unsent else "it must begin with a slash"
        raise BadRequest(f"a path cannot be signed: {why}")


def _json(document: Any) -> Answer:
    headers = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")]
    return Answer(200, headers, msgspec.json.encode(document) + b"\n")


class SignEndpoint:
    """`POST /playground/sign`: `{"paths": [PATH, ...]}` becomes the same with each path signed.

    Only the command `imgforge playground` has it, on loopback, behind its token.
    """

    def __init__(self, gate: PlaygroundGate, sign: Callable[[str], str]) -> None:
        self._gate = gate
        self._sign = sign
        self._decoder = msgspec.json.Decoder(_Paths)

    async def __call__(self, request: Request) -> Answer:
        """The signed paths; `BadRequest` for one that no client could send."""
        self._gate.check(request)
        paths = _read(self._decoder, request).paths
        for path in paths:
            _check(path)
        return _json({"paths": [self._sign(path) for path in paths]})


class ExplainEndpoint:
    """`POST /playground/explain`: what the path of `{"path": ..., "accept": ..., "size": [W, H]}` does."""

    def __init__(self, reactor: IServerReactor, gate: PlaygroundGate, explain: Explain) -> None:
        self._reactor = reactor
        self._gate = gate
        self._explain = explain
        self._decoder = msgspec.json.Decoder(_Question)

    async def __call__(self, request: Request) -> Answer:
        """The explanation; a thread makes it."""
        self._gate.check(request)
        question = _read(self._decoder, request)
        _check(question.path)
        explanation = await deferToThreadPool(
            self._reactor,
            self._reactor.getThreadPool(),
            self._explain,
            question.path,
            question.accept,
            question.size,
        )
        return _json(explanation)
