"""The source of a store: `HttpSource` under the rules for what the operator, and no URL, has named."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults

from imgforge.interfaces import IServerReactor
from imgforge.sources.address_policy import EVERY_ADDRESS
from imgforge.sources.http import HttpSource, IOriginKind
from imgforge.sources.settings import SourceSettings

__all__ = ["StoreSource"]


class Closable(Protocol):
    """What ends with a source: its credentials' threads and connections."""

    def close(self) -> Deferred[None]:
        """Fires when it has ended."""


class StoreSource(HttpSource):
    """Fetches from the store *kind*, whose *credentials*, where they have to be loaded, are closed with it.

    Neither the rules for addresses nor the custom headers of *settings* are meant for stores.
    """

    def __init__(
        self, reactor: IServerReactor, settings: SourceSettings, kind: IOriginKind, credentials: Closable | None
    ) -> None:
        super().__init__(reactor, replace(settings, addresses=EVERY_ADDRESS, custom_headers={}), kind)
        self._credentials = credentials

    def close(self) -> Deferred[None]:
        """See `ISource`."""
        closing = [super().close()]
        if self._credentials is not None:
            closing.append(self._credentials.close())
        return gatherResults(closing).addCallback(lambda _: None)
