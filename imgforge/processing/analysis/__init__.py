"""Facts about an image instead of its pixels: the fields of `/info`, its palette, its placeholders."""

from imgforge.processing.analysis.info import describe

__all__ = ["describe"]
