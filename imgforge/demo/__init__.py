"""The demo: a playground at `/`, its sample images, and the source that serves them."""

from imgforge.demo.endpoints import Explain, ExplainEndpoint, SignEndpoint
from imgforge.demo.gate import PlaygroundGate
from imgforge.demo.option_controls import GROUPS, option_controls
from imgforge.demo.page import DemoEndpoint, PlaygroundSettings, demo_page
from imgforge.demo.samples import SAMPLES, draw_sample
from imgforge.demo.source import SampleFactory

__all__ = [
    "GROUPS",
    "SAMPLES",
    "DemoEndpoint",
    "Explain",
    "ExplainEndpoint",
    "PlaygroundGate",
    "PlaygroundSettings",
    "SampleFactory",
    "SignEndpoint",
    "demo_page",
    "draw_sample",
    "option_controls",
]
