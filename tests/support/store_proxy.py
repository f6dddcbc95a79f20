"""A proxy in front of a store: sees what is asked, checks tokens and conditions, and has faults when a test wants."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Collection, Mapping

from tests.support.loopback_server import DEADLINE, LoopbackServer, QuietHandler

__all__ = ["Answer", "StoreProxy"]

Answer = tuple[int, dict[str, str], bytes]


class StoreProxy(LoopbackServer):
    """Forwards GET requests, byte for byte, to the store on *port* unless *judge* answers them itself.

    *judge* gets path and headers (names in lower case); None forwards, without the headers
    *dropped*. `requests` are all requests so far.
    """

    def __init__(
        self,
        port: int,
        judge: Callable[[str, Mapping[str, str]], Answer | None] = lambda *_: None,
        dropped: Collection[str] = (),
    ) -> None:
        self.judge = judge
        self.requests: list[tuple[str, dict[str, str]]] = []
        proxy = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                proxy.requests.append((self.path, headers))
                status, answer, body = proxy.judge(self.path, headers) or _forwarded(
                    port, self.path, {name: value for name, value in headers.items() if name not in dropped}
                )
                self.send_response_only(status)
                for name, value in answer.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)
        self.url = f"http://{self.host}"


def _forwarded(port: int, path: str, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name != "connection":
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        left_out = {"connection", "keep-alive", "transfer-encoding", "content-length"}
        return answer.status, {k: v for k, v in answer.getheaders() if k.lower() not in left_out}, body
    finally:
        connection.close()
