"""Image URLs: their grammar, signatures and options."""

from imgforge.urls._encryption import SourceCipher
from imgforge.urls._info_options import INFO_OPTIONS
from imgforge.urls._parser import UrlParser, UrlSettings
from imgforge.urls._signature import Signer
from imgforge.urls._signature_mistakes import SignedUrl, signature_mistakes, signing_pair
from imgforge.urls._source import build_path
from imgforge.urls.options import BY_NAME, FORMATS, OPTIONS, Argument, Option, Together

__all__ = [
    "BY_NAME",
    "FORMATS",
    "INFO_OPTIONS",
    "OPTIONS",
    "Argument",
    "Option",
    "SignedUrl",
    "Signer",
    "SourceCipher",
    "Together",
    "UrlParser",
    "UrlSettings",
    "build_path",
    "signature_mistakes",
    "signing_pair",
]
