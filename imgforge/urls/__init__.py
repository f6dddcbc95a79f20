"""Image URLs: their grammar, signatures and options."""

from imgforge.urls.encryption import SourceCipher
from imgforge.urls.options import (
    BY_NAME,
    FORMATS,
    INFO_OPTIONS,
    OPTIONS,
    PRESET_NAMES,
    AppliedOption,
    Argument,
    ArgumentGroup,
    ArgumentKind,
    Arguments,
    Option,
    OptionTrace,
)
from imgforge.urls.parser import UrlParser, UrlSettings
from imgforge.urls.signature import Signer
from imgforge.urls.signature_diagnosis import SignedUrl, signature_mistakes, signing_pair
from imgforge.urls.source import build_path

__all__ = [
    "BY_NAME",
    "FORMATS",
    "INFO_OPTIONS",
    "OPTIONS",
    "PRESET_NAMES",
    "AppliedOption",
    "Argument",
    "ArgumentGroup",
    "ArgumentKind",
    "Arguments",
    "Option",
    "OptionTrace",
    "SignedUrl",
    "Signer",
    "SourceCipher",
    "UrlParser",
    "UrlSettings",
    "build_path",
    "signature_mistakes",
    "signing_pair",
]
