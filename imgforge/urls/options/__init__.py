"""The options of image URLs and of `/info`: their tables, and the parsers that read them."""

from imgforge.urls.options.argument_kinds import ArgumentKind, Arguments
from imgforge.urls.options.argument_types import CONTROL, FORMATS, base64_bytes
from imgforge.urls.options.info_option_parser import InfoOptionParser
from imgforge.urls.options.info_table import INFO_OPTIONS
from imgforge.urls.options.option import Argument, ArgumentGroup, Option
from imgforge.urls.options.option_parser import CHAIN, OptionParser, ParsedOptions
from imgforge.urls.options.option_trace import AppliedOption, OptionTrace
from imgforge.urls.options.suggestions import did_you_mean
from imgforge.urls.options.table import BY_NAME, OPTIONS, PRESET_NAMES

__all__ = [
    "BY_NAME",
    "CHAIN",
    "CONTROL",
    "FORMATS",
    "INFO_OPTIONS",
    "OPTIONS",
    "PRESET_NAMES",
    "AppliedOption",
    "Argument",
    "ArgumentGroup",
    "ArgumentKind",
    "Arguments",
    "InfoOptionParser",
    "Option",
    "OptionParser",
    "OptionTrace",
    "ParsedOptions",
    "base64_bytes",
    "did_you_mean",
]
