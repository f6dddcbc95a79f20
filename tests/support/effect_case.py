"""Renditions of drawn pictures, judged by their pixels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import Rendition
from imgforge.processing import ProcessingSettings, process
from imgforge.urls.options import OptionParser

__all__ = ["EffectCase", "flat", "made", "pixels", "png"]


def png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def flat(*colour: int, width: int = 40, height: int = 30) -> bytes:
    return png(np.full((height, width, len(colour)), colour))


def made(source: bytes, options: str, **settings: Any) -> Rendition:
    texts = ["f:png", *options.split("/")]
    return process(source, OptionParser(security=True).parse(texts).processing, ProcessingSettings(**settings))


def pixels(source: bytes, options: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(made(source, options).body)).convert("RGBA"), float)


class EffectCase(SynchronousTestCase):
    def assert_near(self, got: Any, expected: Any, tolerance: float = 1.01) -> None:
        worst = np.abs(np.asarray(got, float) - np.asarray(expected, float)).max()
        self.assertLessEqual(worst, tolerance, f"{got} is not {expected}")
