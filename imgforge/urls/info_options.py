"""The table of `/info`'s options, and the parser that reads it.

Documented at https://docs.imgproxy.net/usage/getting_info. Options that need what this server does not have, such as
videos or object detection, are rows too: they may be off, and asking for them is an error that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imgforge.errors import BadOption, OptionForbidden
from imgforge.model import DeliveryOptions, InfoOptions
from imgforge.urls.options import (
    BY_NAME,
    DEFAULT_PRESET,
    PRESET_NAMES,
    Argument,
    Option,
    Together,
    composite,
    set_fields,
)
from imgforge.urls.options.argument_types import boolean, integer
from imgforge.urls.options.option_parser import AS_THEY_ARE, DELIVERY_DEFAULTS, MOST_OPTIONS, defaults_of, option_texts
from imgforge.urls.options.suggestions import did_you_mean, unknown_option
from imgforge.urls.options.unsupported import OBJECTS, OBJECTS_POSITION, VIDEO, absent

__all__ = ["INFO_BY_NAME", "INFO_OPTIONS", "InfoOptionParser"]

# The rows that image URLs have too.
_SHARED = (
    *("page", "cachebuster", "bypass_cache", "expires", "cache_tags", "hashsum"),
    *("max_src_resolution", "max_src_file_size", "video_thumbnail_second", "video_thumbnail_keyframes"),
)


def _colors(argument: str) -> int:
    count = integer(0, 256)(argument)
    if count == 1:
        raise ValueError("must be 0, or a whole number from 2 to 256, not '1'")
    return count


def _hashes(arguments: composite.Arguments, _: tuple[str, ...]) -> tuple[str, ...]:
    """type:type..., each once, in the order that they are named"""
    for kind in arguments:
        if kind and kind not in composite.HASHES:
            raise ValueError(f"must be among {', '.join(composite.HASHES)}, not {kind!r}")
    return tuple(dict.fromkeys(kind for kind in arguments if kind))


def _flag(name: str, *aliases: str, summary: str) -> Option:
    return Option(name, aliases, (Argument(name, boolean),), summary)


INFO_OPTIONS = (
    _flag("size", "s", summary="`size`, `size_bytes`: bytes of the file; on by default"),
    _flag("format", "f", summary="`format`, `mime_type`, and the origin's own `content_type`; on by default"),
    _flag(
        "dimensions",
        "d",
        summary="`width` and `height` as it is seen, the EXIF `orientation`, `channels`, `has_alpha` and `pages`;"
        " on by default",
    ),
    Option(
        "exif",
        (),
        (Argument("exif", boolean), Argument("exif_canonical_names", boolean)),
        "`exif`, by readable or canonical names; on by default",
    ),
    _flag("iptc", summary="`iptc`, and the resolution in `photoshop`; on by default"),
    _flag("xmp", summary="`xmp`, by the prefixes of its namespaces; on by default"),
    _flag("colorspace", "cs", summary="`colorspace`: srgb, cmyk, b-w..."),
    _flag("bands", "b", summary="`bands`: how many samples a pixel has"),
    _flag("sample_format", "sf", summary="`sample_format`: uchar, ushort, float..."),
    _flag("pages_number", "pn", summary="`pages_number`: pages, or frames of an animation"),
    Option(
        "alpha",
        ("a",),
        (Argument("alpha", boolean), Argument("check_transparency", boolean)),
        "`alpha`: whether there is an alpha channel; `transparency`: whether it hides anything",
    ),
    Option(
        "crop",
        ("c",),
        (Together("crop", composite.crop, "width:height:gravity:x:y", 64),),
        "`crop`: where that crop would lie, as fractions",
    ),
    Option("palette", ("p",), (Argument("palette", _colors),), "`palette`: up to so many RGBA colours"),
    Option(
        "average",
        ("avg",),
        (Argument("average", boolean), Argument("ignore_transparent", boolean)),
        "`average`: the mean colour, of all that is not fully transparent",
    ),
    Option(
        "dominant_colors",
        ("dc",),
        (Argument("dominant_colors", boolean), Argument("build_missed", boolean)),
        "`dominant_colors`: vibrant and muted, each also light and dark",
    ),
    Option(
        "blurhash",
        ("bh",),
        (Argument("blurhash_x", integer(0, 9)), Argument("blurhash_y", integer(0, 9))),
        "`blurhash` of so many components",
    ),
    _flag("thumb_hash", "th", summary="`thumb_hash`, hexadecimal"),
    _flag("perceptual_hash", "phash", "ph", summary="`perceptual_hash`: near for pictures that look alike"),
    Option(
        "calc_hashsums", ("chs",), (Together("calc_hashsums", _hashes, "type:type:...", 8),), "`hashsums` of the file"
    ),
    *(BY_NAME[name] for name in _SHARED),
    OBJECTS_POSITION,
    absent("video_meta", "vm", needs=VIDEO, summary="`video_meta`"),
    absent("detect_objects", "do", needs=OBJECTS, summary="`objects`"),
    absent("classify", "cl", needs="classification", summary="classes"),
)

INFO_BY_NAME = {name: option for option in INFO_OPTIONS for name in (option.name, *option.aliases)}

_NAMES = (*INFO_BY_NAME, *PRESET_NAMES)
_INFO_DEFAULTS = defaults_of(InfoOptions())
# What rows set that is in neither record is parsed and forgotten.
_DEFAULTS = dict.fromkeys(INFO_BY_NAME) | _INFO_DEFAULTS | DELIVERY_DEFAULTS


@dataclass(slots=True)
class _Draft:
    """The fields set so far; later options win."""

    values: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    # As in `OptionParser`.
    sent: Mapping[str, str] = field(default_factory=dict)


class InfoOptionParser:
    """Parses info options under an operator's rules.

    *presets* are option texts by name. An empty *allowed* allows all options; *security* permits those that loosen
    limits. Neither binds presets. `ValueError` has an argument for everything that is wrong with them.
    """

    def __init__(
        self, *, separator: str, presets: Mapping[str, str], security: bool, allowed: frozenset[str] = frozenset()
    ) -> None:
        unknown = allowed - INFO_BY_NAME.keys() - set(PRESET_NAMES)
        mistakes = [f"unknown info option {name!r}{did_you_mean(name, _NAMES)}" for name in sorted(unknown)]
        self._separator = separator
        self._presets = {name: option_texts(text) for name, text in presets.items()}
        self._security = security
        # The names as resolved: allowing an option allows all its aliases.
        self._allowed = frozenset(
            INFO_BY_NAME[name].name if name in INFO_BY_NAME else "preset" for name in allowed - unknown
        )
        for name in self._presets:
            try:
                self._expand(name, _Draft(), ())
            except BadOption as error:
                mistakes.append(f"info preset {name!r}: {error.message}")
        if mistakes:
            raise ValueError(*mistakes)

    def parse(
        self, texts: Iterable[str], presets: Iterable[str] = (), sent: Mapping[str, str] = AS_THEY_ARE
    ) -> tuple[InfoOptions, DeliveryOptions]:
        """The `default` preset, then *presets*, then the option *texts*, of which some were *sent* in other bytes.

        Raises `BadOption` or `OptionForbidden`.
        """
        draft = _Draft(sent=sent)
        if DEFAULT_PRESET in self._presets:
            self._expand(DEFAULT_PRESET, draft, ())
        for name in presets:
            self._expand(name, draft, ())
        for one in texts:
            self._apply(one, draft, ())
        return (
            InfoOptions(**{name: value for name, value in draft.values.items() if name in _INFO_DEFAULTS}),
            DeliveryOptions(**{name: value for name, value in draft.values.items() if name in DELIVERY_DEFAULTS}),
        )

    def _apply(self, one: str, draft: _Draft, inside: tuple[str, ...]) -> None:
        draft.count += 1
        if draft.count > MOST_OPTIONS:
            raise BadOption(f"more than {MOST_OPTIONS} options")
        name, *arguments = one.split(self._separator)
        if name in PRESET_NAMES:
            self._check_allowed("preset", name, inside)
            for preset in arguments:
                self._expand(preset, draft, inside)
            return
        option = INFO_BY_NAME.get(name)
        if option is None:
            raise BadOption(unknown_option("info option", name, arguments, draft.sent.get(one, one), _NAMES))
        self._check_allowed(option.name, name, inside)
        if option.kind == "security" and not inside and not self._security:
            raise OptionForbidden(f"option {name!r} needs IMGFORGE_ALLOW_SECURITY_OPTIONS")
        try:
            set_fields(option, arguments or [""], draft.values, _DEFAULTS)
        except ValueError as error:
            raise BadOption(f"info option {draft.sent.get(one, one)!r}: {error}") from None

    def _check_allowed(self, option: str, name: str, inside: tuple[str, ...]) -> None:
        if self._allowed and not inside and option not in self._allowed:
            raise OptionForbidden(f"info option {name!r} is not allowed here")

    def _expand(self, name: str, draft: _Draft, inside: tuple[str, ...]) -> None:
        texts = self._presets.get(name)
        if texts is None:
            raise BadOption(f"unknown info preset {name!r}{did_you_mean(name, self._presets)}")
        if name not in inside:  # a preset that names itself adds nothing
            for one in texts:
                self._apply(one, draft, (*inside, name))
