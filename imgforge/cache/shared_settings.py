"""What the tier that a fleet shares needs of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SharedTierSettings"]


@dataclass(frozen=True, slots=True)
class SharedTierSettings:
    """The shared tier's settings; times are in seconds.

    `use` is redis, s3, gcs, abs, swift or a plugin's name, empty for no shared tier. `timeout` is how long a look-up
    may take. An entry is of no use after `keep` seconds; 0 is no end. `redis` and `bucket` are the settings of these
    tiers, None where they are not used.
    """

    use: str = ""
    timeout: float = 0.3
    keep: float = 0.0
    redis: object | None = field(default=None, repr=False)
    bucket: object | None = field(default=None, repr=False)
    plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)  # of all plugins, by their names
    plugin: Mapping[str, str] = field(default_factory=dict, repr=False)  # the plugin's own, for its factory
