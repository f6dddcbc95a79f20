"""Every private name of twisted.web's HTTP server that imgforge uses: there is one.

A private name may change with any release of Twisted. tests/test_twisted_compat_http.py shows that it exists and
behaves; .ci/run runs it with the oldest and the newest Twisted that imgforge supports.
"""

from __future__ import annotations

from twisted.web.http import HTTPChannel

__all__ = ["RELIED_ON", "ParsingChannel"]

# The class that has the name, the name, why it is needed, and the public hook that would replace it.
RELIED_ON = (
    (
        HTTPChannel,
        "_respondToBadRequestAndDisconnect",
        "HTTPChannel calls it wherever a request is malformed, and answers with a bare status line: such an answer has "
        "no request id, no header of the operator's, no line in the access log and none in the metrics.",
        "A documented method of HTTPChannel that a subclass overrides, called with the reason.",
    ),
)


class ParsingChannel(HTTPChannel):
    """HTTPChannel, with a public hook for malformed requests."""

    def malformed_request(self) -> None:
        """Called where HTTPChannel cannot parse what has arrived. A subclass overrides it, answers, and closes."""
        super()._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.malformed_request()
