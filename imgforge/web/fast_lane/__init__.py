"""Cache hits answered from the bytes of a request's head, before any request object exists."""

from imgforge.web.fast_lane.fast_lane import FastLane, FastLaneSettings
from imgforge.web.fast_lane.hits import TargetHits, hit_access

__all__ = ["FastLane", "FastLaneSettings", "TargetHits", "hit_access"]
