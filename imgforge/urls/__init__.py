"""Image URLs: their grammar, signatures and options.

What signs a path needs none of the options.
"""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
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
    from imgforge.urls.path_prefix import without_prefix
    from imgforge.urls.signature import Signer
    from imgforge.urls.signature_diagnosis import SignedUrl, signature_mistakes, signing_pair
    from imgforge.urls.source import NEEDS_PLAIN, build_path

__all__ = [
    "BY_NAME",
    "FORMATS",
    "INFO_OPTIONS",
    "NEEDS_PLAIN",
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
    "without_prefix",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".encryption": ("SourceCipher",),
        ".options": (
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
        ),
        ".parser": ("UrlParser", "UrlSettings"),
        ".path_prefix": ("without_prefix",),
        ".signature": ("Signer",),
        ".signature_diagnosis": ("SignedUrl", "signature_mistakes", "signing_pair"),
        ".source": ("NEEDS_PLAIN", "build_path"),
    },
)
