"""Images of libvips whose frequent operations are single C calls; all else they can do is pyvips'.

`load` opens them, `encode` saves them. What a frequent operation makes of one is one again; what an operation of pyvips
makes of one is an image of pyvips, which the same code takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ctypes import byref, c_double, c_size_t, c_void_p, string_at
from typing import Any

import pyvips

from imgforge.processing import pyvips_compat
from imgforge.processing.vips_calls import QUICK, SLOW, errors_so_far, failed, optional_arguments

__all__ = ["DirectImage", "encode", "field_names", "load", "remove_fields"]

_LOADERS = {name: getattr(SLOW, f"vips_{name}") for name in ("jpegload_buffer", "pngload_buffer", "webpload_buffer")}
_SAVERS = {name: getattr(SLOW, f"vips_{name}") for name in ("jpegsave_buffer", "pngsave_buffer", "webpsave_buffer")}
# libvips' names of its numbers.
_FORMATS = ("uchar", "char", "ushort", "short", "uint", "int", "float", "complex", "double", "dpcomplex")
_FORMAT_NUMBERS = {name: number for number, name in enumerate(_FORMATS)}
_INTERPRETATIONS = {1: "b-w", 13: "lab", 15: "cmyk", 17: "rgb", 22: "srgb", 25: "rgb16", 26: "grey16", 28: "scrgb"}
_INTERPRETATION_NUMBERS = {name: number for number, name in _INTERPRETATIONS.items()}
_KERNELS = {"nearest": 0, "linear": 1, "cubic": 2, "mitchell": 3, "lanczos2": 4, "lanczos3": 5}
_ANGLES = {"d0": 0, "d90": 1, "d180": 2, "d270": 3}
_UNCODED = 0
# To free more pixels than these takes long enough that the interpreter must not wait for it.
_MANY_PIXELS = 1 << 20


class DirectImage(pyvips_compat.AddressedImage):
    """An image by its address; `large` is whether it, or the file that it is read from, has many pixels."""

    __slots__ = ("large",)

    def __init__(self, address: int, references: list[Any], *, large: bool) -> None:
        super().__init__(address, references)
        self.large = large

    def __del__(self, quick: Any = QUICK.g_object_unref, slow: Any = SLOW.g_object_unref) -> None:
        (slow if self.large else quick)(self.address)

    @property
    def width(self) -> int:
        width: int = QUICK.vips_image_get_width(self.address)
        return width

    @property
    def height(self) -> int:
        height: int = QUICK.vips_image_get_height(self.address)
        return height

    @property
    def bands(self) -> int:
        bands: int = QUICK.vips_image_get_bands(self.address)
        return bands

    @property
    def format(self) -> str:
        return _FORMATS[QUICK.vips_image_get_format(self.address)]

    @property
    def interpretation(self) -> str:
        name = _INTERPRETATIONS.get(QUICK.vips_image_get_interpretation(self.address))
        return name or str(self.get("interpretation"))

    @property
    def coding(self) -> str:
        return "none" if QUICK.vips_image_get_coding(self.address) == _UNCODED else str(self.get("coding"))

    def hasalpha(self) -> bool:
        return bool(QUICK.vips_image_hasalpha(self.address))

    def get_typeof(self, name: str) -> int:
        kind: int = QUICK.vips_image_get_typeof(self.address, name.encode())
        return kind

    def remove(self, name: str) -> bool:
        return bool(QUICK.vips_image_remove(self.address, name.encode("utf-8", "surrogateescape")))

    def field_names(self) -> list[str]:
        """The names of all fields, those of the geometry first; bytes that are not UTF-8 are surrogates."""
        array = QUICK.vips_image_get_fields(self.address)
        names: list[str] = []
        while (name := array[len(names)]) is not None:
            names.append(name.decode("utf-8", "surrogateescape"))
        QUICK.g_strfreev(array)
        return names

    def resize(self, scale: float, *, vscale: float, kernel: str = "lanczos3") -> DirectImage:
        return self._made(QUICK.vips_resize, scale, b"vscale", c_double(vscale), b"kernel", _KERNELS[kernel])

    def crop(self, left: int, top: int, width: int, height: int) -> DirectImage:
        return self._made(QUICK.vips_crop, left, top, width, height)

    def rot(self, angle: str) -> DirectImage:
        return self._made(QUICK.vips_rot, _ANGLES[angle])

    def fliphor(self) -> DirectImage:
        return self._made(QUICK.vips_flip, 0)

    def flipver(self) -> DirectImage:
        return self._made(QUICK.vips_flip, 1)

    def premultiply(self) -> DirectImage:
        return self._made(QUICK.vips_premultiply)

    def unpremultiply(self) -> DirectImage:
        return self._made(QUICK.vips_unpremultiply)

    def cast(self, band_format: str) -> DirectImage:
        return self._made(QUICK.vips_cast, _FORMAT_NUMBERS[band_format])

    def extract_band(self, band: int, *, n: int = 1) -> DirectImage:
        return self._made(QUICK.vips_extract_band, band, b"n", n)

    def flatten(self, *, background: Sequence[float] = (0.0,)) -> DirectImage:
        array = QUICK.vips_array_double_new((c_double * len(background))(*background), len(background))
        try:
            return self._made(QUICK.vips_flatten, b"background", c_void_p(array))
        finally:
            QUICK.vips_area_unref(array)

    def colourspace(self, space: str, **options: Any) -> Any:
        if options or space not in _INTERPRETATION_NUMBERS:
            return pyvips.Operation.call("colourspace", self, space, **options)
        return self._made(QUICK.vips_colourspace, _INTERPRETATION_NUMBERS[space])

    def copy(self, **options: Any) -> Any:
        if options and options.keys() != {"xres", "yres"}:
            return pyvips.Operation.call("copy", self, **options)
        pairs = [part for name, value in options.items() for part in (name.encode(), c_double(value))]
        return self._made(QUICK.vips_copy, *pairs)

    def copy_memory(self) -> DirectImage:
        before = errors_so_far()
        address = SLOW.vips_image_copy_memory(self.address)
        if not address:
            raise failed(SLOW.vips_image_copy_memory, before)
        return DirectImage(address, self.references, large=self.large or self.width * self.height > _MANY_PIXELS)

    def _made(self, function: Any, *arguments: Any) -> DirectImage:
        """The image that the operation *function* makes of this one."""
        out = c_void_p()
        if function(self.address, byref(out), *arguments, None) or out.value is None:
            raise failed(function)
        return DirectImage(out.value, self._references, large=self.large)


def load(loader: str, body: bytes, **options: Any) -> Any:
    """The image in *body*, opened by libvips' *loader* with *options*; `pyvips.Error` where it is broken."""
    function, arguments = _LOADERS.get(loader), optional_arguments(options)
    if function is None or arguments is None:
        try:
            return pyvips.Operation.call(loader, body, **options)
        except UnicodeDecodeError as error:
            raise pyvips_compat.readable_error(error) or error from None
    out, before = c_void_p(), errors_so_far()
    if function(body, len(body), byref(out), *arguments) or out.value is None:
        raise failed(function, before)
    image = DirectImage(out.value, [body], large=False)
    factor = options.get("shrink", 1) / options.get("scale", 1.0)
    image.large = image.width * image.height * factor**2 > _MANY_PIXELS
    return image


def encode(saver: str, image: Any, **options: Any) -> bytes:
    """The file that libvips' *saver* makes of *image*; `pyvips.Error` where decoding or encoding fails."""
    function, arguments = _SAVERS.get(saver), optional_arguments(options)
    if function is None or arguments is None or not isinstance(image, DirectImage):
        return bytes(pyvips.Operation.call(saver, image, **options))
    buffer, size, before = c_void_p(), c_size_t(), errors_so_far()
    if function(image.address, byref(buffer), byref(size), *arguments):
        raise failed(function, before)
    try:
        return string_at(buffer, size.value)
    finally:
        QUICK.g_free(buffer)


def field_names(image: Any) -> list[str]:
    """The names of the metadata fields of *image*, whatever bytes they are of."""
    return image.field_names() if isinstance(image, DirectImage) else pyvips_compat.field_names(image)


def remove_fields(image: Any, names: Iterable[str]) -> None:
    """Remove the metadata fields *names*, as `field_names` returns them."""
    remove = image.remove if isinstance(image, DirectImage) else lambda name: pyvips_compat.remove_field(image, name)
    for name in names:
        remove(name)
