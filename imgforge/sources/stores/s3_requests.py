"""Signed requests to S3, and what refusals teach for the next: a bucket's region, the clock, other credentials."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from twisted.logger import Logger

from imgforge.sources.http import OriginRequest, Refusal
from imgforge.sources.recent_dict import RecentDict
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.s3_addressing import S3Addressing
from imgforge.sources.stores.s3_refusals import REJECTED_KEYS, SKEWED, S3Error, s3_error
from imgforge.sources.stores.s3_signature import (
    EMPTY_PAYLOAD,
    Credentials,
    escaped_key,
    escaped_query,
    scope_of,
    signed_headers,
    signer_of,
    time_of,
)
from imgforge.sources.stores.store_clock import StoreClock

__all__ = ["S3Requests"]

_MOST_REGIONS = 1000  # buckets whose regions are remembered; beyond, the one that was learnt longest ago is forgotten


class S3Requests:
    """Makes the requests for the buckets of *addressing*; *now* gives the seconds since the epoch."""

    log = Logger()

    def __init__(
        self,
        addressing: S3Addressing,
        credentials: CredentialsKeeper[Credentials],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._addressing = addressing
        self._credentials = credentials
        self._clock = StoreClock("s3", now)
        self._regions: RecentDict[str, str] = RecentDict(
            _MOST_REGIONS
        )  # by buckets, where it is not the configured one

    async def signed(
        self,
        bucket: str,
        key: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes | None = None,
        payload: str = EMPTY_PAYLOAD,
    ) -> OriginRequest:
        """The request for *key* in *bucket*, or for the bucket itself where *key* is "". *payload* is the hash of the
        *body*.

        Of *headers* (names in lower case) the type of the content is signed: a proxy in front of a store may write
        conditions and ranges otherwise.
        """
        credentials = await self._credentials.get()
        address = self._addressing.address(bucket, self._regions.get(bucket, ""))
        target = f"{address.path}/{escaped_key(key)}" if key else address.path or "/"
        escaped = escaped_query(query)
        if escaped:
            target += f"?{escaped}"
        moment = datetime.fromtimestamp(self._clock.seconds(), UTC)
        sent = dict(headers or {})
        own = {name: value for name, value in sent.items() if name == "content-type"}
        signed = signed_headers(
            address.host, target, credentials, address.scope, moment, method=method, payload=payload, headers=own
        )
        return OriginRequest(f"{address.origin}{target}", sent | signed, body=body, method=method)

    async def learn_from(self, bucket: str, refusal: Refusal) -> bool:
        """Whether *refusal* of a request for *bucket* told what the next one will do better."""
        error = s3_error(refusal)
        if error.code in REJECTED_KEYS:
            return await self._credentials.replace(signer_of(refusal.request.headers))
        if error.code in SKEWED:
            return self._clock.correct(refusal, time_of(refusal.request.headers))
        return self._learn_region(bucket, refusal, error)

    def _learn_region(self, bucket: str, refusal: Refusal, error: S3Error) -> bool:
        scope = scope_of(refusal.request.headers)
        if scope is None or error.region in {"", scope.region}:
            return False
        if not self._addressing.may_move(bucket, error.region):
            return False
        if self._regions.get(bucket) != error.region:
            self.log.info(
                "s3://{bucket} lies in {region}, not in {asked}: its objects are asked for there",
                bucket=bucket,
                region=error.region,
                asked=scope.region,
            )
        self._regions[bucket] = error.region
        return True
