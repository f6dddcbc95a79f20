"""Cache hits answered from the bytes of a request's head, before any request object exists."""

from imgforge.web.fast_lane.fast_lane import FastLane, FastLaneSettings
from imgforge.web.fast_lane.hits import Hit, TargetHits, hit_access
from imgforge.web.fast_lane.lane import Lane
from imgforge.web.fast_lane.sampled_lane import HitSampling, SampledFastLane

__all__ = ["FastLane", "FastLaneSettings", "Hit", "HitSampling", "Lane", "SampledFastLane", "TargetHits", "hit_access"]
