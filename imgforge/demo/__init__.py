"""The demo: a page at `/`, its sample images, and the source that serves them."""

from imgforge.demo.page import DemoEndpoint, demo_page
from imgforge.demo.samples import SAMPLES, draw_sample
from imgforge.demo.source import SampleFactory

__all__ = ["SAMPLES", "DemoEndpoint", "SampleFactory", "demo_page", "draw_sample"]
