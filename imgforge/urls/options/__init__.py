"""Processing options: the table, and the parser that reads it."""

from imgforge.urls.options._parse import CHAIN, DEFAULT_PRESET, OptionParser, ParsedOptions, set_fields
from imgforge.urls.options._table import BY_NAME, OPTIONS, PRESET_NAMES, Argument, Option, Together
from imgforge.urls.options._values import FORMATS

__all__ = [
    "BY_NAME",
    "CHAIN",
    "DEFAULT_PRESET",
    "FORMATS",
    "OPTIONS",
    "PRESET_NAMES",
    "Argument",
    "Option",
    "OptionParser",
    "ParsedOptions",
    "Together",
    "set_fields",
]
