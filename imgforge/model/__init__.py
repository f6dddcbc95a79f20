"""The frozen values that the layers exchange: URLs are `str`, bodies `bytes`, times seconds since the epoch."""

from imgforge.model.byte_ranges import Unsatisfiable, byte_range
from imgforge.model.cache_control import CacheControl, delta_seconds
from imgforge.model.client_hints import NO_HINTS, Hints
from imgforge.model.data_url import is_data_url
from imgforge.model.effects import (
    AutoQuality,
    AutoQualityOptions,
    AvifOptions,
    BlurAreas,
    Color,
    Colorize,
    Duotone,
    Gradient,
    JpegOptions,
    Monochrome,
    PngOptions,
    ProgressiveBlur,
    Unsharp,
    UnsharpOptions,
    WebpOptions,
)
from imgforge.model.entry import CacheEntry
from imgforge.model.http_date import seconds_of_http_date
from imgforge.model.http_url import HttpUrl, parse_http_url
from imgforge.model.image import Rendition, SourceHead, SourceImage, head_of_part
from imgforge.model.info import InfoOptions, InfoRequest
from imgforge.model.options import (
    CENTRE,
    Crop,
    DeliveryOptions,
    Extend,
    Gravity,
    Padding,
    ProcessingOptions,
    Size,
    Trim,
    Watermark,
)
from imgforge.model.purge import Purge, PurgeKind
from imgforge.model.redis_address import RedisAddress, parse_redis_url
from imgforge.model.request import ImageRequest

__all__ = [
    "CENTRE",
    "NO_HINTS",
    "AutoQuality",
    "AutoQualityOptions",
    "AvifOptions",
    "BlurAreas",
    "CacheControl",
    "CacheEntry",
    "Color",
    "Colorize",
    "Crop",
    "DeliveryOptions",
    "Duotone",
    "Extend",
    "Gradient",
    "Gravity",
    "Hints",
    "HttpUrl",
    "ImageRequest",
    "InfoOptions",
    "InfoRequest",
    "JpegOptions",
    "Monochrome",
    "Padding",
    "PngOptions",
    "ProcessingOptions",
    "ProgressiveBlur",
    "Purge",
    "PurgeKind",
    "RedisAddress",
    "Rendition",
    "Size",
    "SourceHead",
    "SourceImage",
    "Trim",
    "Unsatisfiable",
    "Unsharp",
    "UnsharpOptions",
    "Watermark",
    "WebpOptions",
    "byte_range",
    "delta_seconds",
    "head_of_part",
    "is_data_url",
    "parse_http_url",
    "parse_redis_url",
    "seconds_of_http_date",
]
