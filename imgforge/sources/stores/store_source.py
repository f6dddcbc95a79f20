"""The source of a store: `HttpSource` under the rules for what the operator, and no URL, has named."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, gatherResults

from imgforge.interfaces import IServerReactor
from imgforge.sources.address_policy import AddressPolicy
from imgforge.sources.http import HttpSource, IOriginKind
from imgforge.sources.settings import SourceSettings
from imgforge.sources.stores.bearer_tokens import BearerTokens

__all__ = ["StoreSource"]

_ANY_ADDRESS = AddressPolicy(allow_loopback=True, allow_link_local=True, allow_private=True)


class StoreSource(HttpSource):
    """Fetches from the store *kind*, whose *tokens*, if it has any, are closed with it.

    Neither the rules for addresses nor the custom headers of *settings* are meant for stores.
    """

    def __init__(
        self, reactor: IServerReactor, settings: SourceSettings, kind: IOriginKind, tokens: BearerTokens | None
    ) -> None:
        super().__init__(reactor, replace(settings, addresses=_ANY_ADDRESS, custom_headers={}), kind)
        self._tokens = tokens

    def close(self) -> Deferred[None]:
        """See `ISource`."""
        closing = [super().close()]
        if self._tokens is not None:
            closing.append(self._tokens.close())
        return gatherResults(closing).addCallback(lambda _: None)
