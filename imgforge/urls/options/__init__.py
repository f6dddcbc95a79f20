"""Processing options: the table, and the parser that reads it."""

from imgforge.urls.options.argument_types import FORMATS
from imgforge.urls.options.option_parser import CHAIN, DEFAULT_PRESET, OptionParser, ParsedOptions, set_fields
from imgforge.urls.options.table import BY_NAME, OPTIONS, PRESET_NAMES, Argument, Option, Together

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
