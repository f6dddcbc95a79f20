"""Fakes for tests of imgforge, of plugins and of programs around it; the server itself imports none of this.

`MemorySource` is an `ISource` over a dict, `MemoryConsumer` a consumer for `ISource.stream`, `MemoryTier` the server's
own `ICacheTier` in memory, `FaultyTier` one that hangs or fails when it is told to, `Origin` a real HTTP origin on
loopback that sends any bytes a test wants.
"""

from imgforge.cache import MemoryTier
from imgforge.testing.faulty_tier import FaultyTier
from imgforge.testing.memory_source import MemoryConsumer, MemorySource
from imgforge.testing.origin import Origin, response

__all__ = ["FaultyTier", "MemoryConsumer", "MemorySource", "MemoryTier", "Origin", "response"]
