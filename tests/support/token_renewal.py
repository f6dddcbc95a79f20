"""What clients see of a store whose tokens expire, are revoked, or cannot be had; for the tests of each such store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, wait_for
from tests.support.store_server import StoreServer
from tests.support.token_server import TokenServer

__all__ = ["TokenRenewal"]

if TYPE_CHECKING:
    _Base = StoreServer
else:  # no TestCase: that would be collected wherever it is imported
    _Base = object


class TokenRenewal(_Base):
    """The tests; a store's class derives from it and from `StoreServer`, and its `start` starts the server."""

    scheme: str
    refusal: str  # the words in which the endpoint refuses a token
    hidden: str  # one of them, which clients do not see
    tokens: TokenServer

    def start(self) -> None:
        raise NotImplementedError

    @property
    def photo(self) -> str:
        return f"{self.scheme}://pictures/photo.jpg"

    def test_tokens_that_expire_and_that_are_revoked_are_renewed(self) -> None:
        self.tokens.life = 2
        self.start()
        self.assert_image(self.image(self.photo))
        first = self.tokens.issued[0]
        wait_for(lambda: not self.tokens.accepts(f"Bearer {first}"), "the token to expire")
        self.tokens.life = 3600
        self.assert_image(self.image(self.photo))
        wait_for(lambda: self.tokens.accepts(f"Bearer {self.tokens.issued[-1]}"), "a token that lasts")
        self.assert_image(self.image(self.photo))
        before = len(self.tokens.issued)
        self.tokens.revoke()
        self.assert_image(self.image(self.photo))
        self.assertEqual(len(self.tokens.issued), before + 1)
        for token in self.tokens.issued:
            self.assertNotIn(token, self.server.output())

    def test_while_the_token_endpoint_hangs_other_origins_are_served(self) -> None:
        origin = Origin({"/photo.jpg": encode(gradient(64, 40), "JPEG")})
        self.addCleanup(origin.close)
        self.tokens.hold()
        self.start()
        with ThreadPoolExecutor() as clients:
            waiting = clients.submit(self.image, self.photo)
            wait_for(lambda: self.tokens.requests, "a request for a token")
            for _ in range(10):
                self.assert_image(self.image(origin.url("/photo.jpg")))
            self.assertFalse(waiting.done())
            self.tokens.release()
            self.assert_image(waiting.result())

    def test_no_token_at_the_start_is_a_warning_and_later_a_bad_gateway(self) -> None:
        self.tokens.refusal = self.refusal
        self.start()
        wait_for(lambda: f"{self.scheme}: cannot get credentials" in self.server.output(), "the warning")
        self.assertIn(self.refusal, self.server.output())
        self.assert_refused(self.image(self.photo), 502, self.hidden)
        self.tokens.refusal = ""
        wait_for(lambda: self.image(self.photo).status == 200, "an image, with a token at last")
