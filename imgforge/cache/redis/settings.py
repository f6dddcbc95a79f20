"""The settings of the tier in Redis."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.model import RedisAddress

__all__ = ["RedisSettings"]


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where the server is, and the most bytes of an entry there, with its metadata."""

    address: RedisAddress = field(default_factory=RedisAddress)
    max_entry_bytes: int = 8 << 20
