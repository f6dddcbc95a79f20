"""Requests that are malformed, or that a proxy may read in another way (request smuggling)."""

from __future__ import annotations

__all__ = ["MALFORMED", "START"]


START = b"GET /quick HTTP/1.1"


MALFORMED = {
    "no host": (400, START + b"\r\n\r\n"),
    "two hosts": (400, START + b"\r\nHost: x\r\nHost: x\r\n\r\n"),
    "two hosts in HTTP/1.0": (400, b"GET /quick HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"),
    "two hosts in one": (400, START + b"\r\nHost: x y\r\n\r\n"),
    "a host with a path": (400, START + b"\r\nHost: x/y\r\n\r\n"),
    "a host with a user": (400, START + b"\r\nHost: u@x\r\n\r\n"),
    "a host with a broken port": (400, START + b"\r\nHost: x:y\r\n\r\n"),
    "two tokens": (400, START + b"\r\nHost: x\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n"),
    "the same token twice": (400, START + b"\r\nHost: x\r\nAuthorization: a\r\nAuthorization: a\r\n\r\n"),
    "two ranges": (400, START + b"\r\nHost: x\r\nRange: bytes=0-1\r\nRange: bytes=1-2\r\n\r\n"),
    "two dates": (400, START + b"\r\nHost: x\r\nIf-Modified-Since: a\r\nIf-Modified-Since: b\r\n\r\n"),
    "two agents": (400, START + b"\r\nHost: x\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n"),
    "a method that is not ASCII": (400, b"G\xc3\x89T /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a version that is not ASCII": (400, b"GET /\xc3\xa4 HTTP/1.\xc2\xb9\r\nHost: x\r\n\r\n"),
    "both framings": (400, START + b"\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "both framings, turned": (
        400,
        START + b"\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    "identity beside a length": (
        501,
        START + b"\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n",
    ),
    "a coding that hides chunked": (501, START + b"\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"),
    "two codings": (501, START + b"\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    "chunked twice": (
        400,
        START + b"\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "chunked in HTTP/1.0": (
        400,
        b"GET /quick HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "two lengths": (400, START + b"\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na"),
    "the same length twice": (400, START + b"\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"),
    "a list of lengths": (400, START + b"\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na"),
    "a length with a sign": (400, START + b"\r\nHost: x\r\nContent-Length: +1\r\n\r\na"),
    "an empty length": (400, START + b"\r\nHost: x\r\nContent-Length:\r\n\r\n"),
    "a length that no machine has": (400, START + b"\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    "a space before the colon": (400, START + b"\r\nHost: x\r\nContent-Length : 1\r\n\r\na"),
    "a tab before the colon": (400, START + b"\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n"),
    "a folded header": (400, START + b"\r\nHost: x\r\nX: a\r\n b\r\n\r\n"),
    "a folded first header": (400, START + b"\r\n Host: x\r\n\r\n"),
    "a header without a colon": (400, START + b"\r\nHost: x\r\nX\r\n\r\n"),
    "a header without a name": (400, START + b"\r\nHost: x\r\n: y\r\n\r\n"),
    "a bare line feed in a value": (400, START + b"\r\nHost: x\r\nX: a\nContent-Length: 4\r\n\r\n"),
    "a bare line feed behind the target": (400, START + b"\nHost: x\r\n\r\n"),
    "a bare carriage return": (400, START + b"\r\nHost: x\r\nX: a\rContent-Length: 4\r\n\r\n"),
    "a NUL": (400, START + b"\r\nHost: x\r\nX: a\0\r\n\r\n"),
    "a broken chunk": (400, START + b"\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n"),
    "a chunk that ends in a line feed": (
        400,
        START + b"\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\r\n",
    ),
    "another version": (400, b"GET /quick HTTP/2.0\r\nHost: x\r\n\r\n"),
    "no version": (400, b"GET /quick\r\n\r\n"),
    "a space in the target": (400, b"GET /qu ick HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two spaces": (400, b"GET  /quick HTTP/1.1\r\nHost: x\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "a long target": (414, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a long header": (431, START + b"\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n"),
    "long headers": (431, START + b"\r\nHost: x\r\n" + (b"X: " + b"a" * 2000 + b"\r\n") * 9 + b"\r\n"),
    "many headers": (431, START + b"\r\nHost: x\r\n" + b"X: y\r\n" * 600 + b"\r\n"),
}
