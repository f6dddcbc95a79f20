"""Sends one request to a running server, by the standard library: a health check has to start quickly."""

from __future__ import annotations

import socket
import ssl
import threading
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead

from imgforge.cli.server_connection import ServerAddress, ServerAnswer, ServerRequest, ServerUnreachable

__all__ = ["exchange"]


def exchange(address: ServerAddress, request: ServerRequest) -> ServerAnswer:
    """Returns the response; raises `ServerUnreachable`, and `UnicodeError` for a path that is not ASCII.

    A thread waits for it: the look-up of a host has no timeout, and each of many small pieces would have its own.
    """
    request.path.encode("ascii")
    outcome: list[ServerAnswer | Exception] = []

    def send() -> None:
        try:
            outcome.append(_answer(address, request))
        except (OSError, HTTPException, ValueError) as error:
            outcome.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(request.timeout)
    result = outcome[0] if outcome else TimeoutError()
    if isinstance(result, Exception):
        raise ServerUnreachable(f"no answer: {_reason(result)}")
    return result


def _answer(address: ServerAddress, request: ServerRequest) -> ServerAnswer:
    connection = _connection(address, request.timeout)
    try:
        headers = {"Host": address.authority, "Connection": "close", **request.headers}
        body = None if request.body is None else request.body.encode()
        connection.request(request.method, request.path, body, headers)
        response = connection.getresponse()
        text = response.read(request.longest)
        if len(text) < request.longest and response.length:
            raise IncompleteRead(text, response.length)
        received: dict[str, str] = {}
        for name, value in response.getheaders():
            known = received.get(name.lower())
            received[name.lower()] = value if known is None else f"{known}, {value}"
        return ServerAnswer(response.status, text.decode("utf-8", "replace").strip(), received)
    finally:
        connection.close()


def _connection(address: ServerAddress, timeout: float) -> HTTPConnection:
    if address.path:
        connection = HTTPConnection(address.host, timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        connection.sock.connect(address.path)
        return connection
    if address.scheme == "http":
        return HTTPConnection(address.host, address.port, timeout=timeout)
    context = ssl.create_default_context()
    if not address.verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(address.host, address.port, timeout=timeout, context=context)


def _reason(error: Exception) -> str:
    """Why there is no response: one line."""
    if isinstance(error, TimeoutError):
        return "it takes too long"
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(why.split()) or type(error).__name__
