"""C functions of libvips for what every small picture needs, by ctypes.

Through pyvips an operation costs 20 to 50 us more than by its C function: pyvips sets each argument in a call of its
own, and each of these calls gives the interpreter's lock away, so that threads take turns in the middle. Here one
operation is one call. Functions of `QUICK` keep the lock: they read a header field or add to the graph of operations,
which takes microseconds and waits for no other thread. Those of `SLOW` release it: they decode or encode.

All functions are None where the library that pyvips has loaded cannot be found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, c_char_p, c_double, c_int, c_size_t, c_void_p
from typing import Any

import pyvips

from imgforge.processing.pyvips_compat import library_path

__all__ = ["QUICK", "SLOW", "errors_so_far", "failed", "optional_arguments"]

# Result and first arguments; the optional ones follow as pairs of name and value, and None ends them.
_OPERATION = c_int, c_void_p, POINTER(c_void_p)
_LOADER = c_int, c_char_p, c_size_t, POINTER(c_void_p)
_SAVER = c_int, c_void_p, POINTER(c_void_p), POINTER(c_size_t)
_GETTER = c_int, c_void_p

_QUICK: dict[str, tuple[Any, ...]] = {
    "vips_cast": _OPERATION,
    "vips_colourspace": _OPERATION,
    "vips_copy": _OPERATION,
    "vips_crop": _OPERATION,
    "vips_extract_band": _OPERATION,
    "vips_flatten": _OPERATION,
    "vips_flip": _OPERATION,
    "vips_premultiply": _OPERATION,
    "vips_resize": (*_OPERATION, c_double),
    "vips_rot": _OPERATION,
    "vips_unpremultiply": _OPERATION,
    "vips_image_get_width": _GETTER,
    "vips_image_get_height": _GETTER,
    "vips_image_get_bands": _GETTER,
    "vips_image_get_format": _GETTER,
    "vips_image_get_interpretation": _GETTER,
    "vips_image_get_coding": _GETTER,
    "vips_image_hasalpha": _GETTER,
    "vips_image_get_typeof": (c_size_t, c_void_p, c_char_p),
    "vips_image_remove": (c_int, c_void_p, c_char_p),
    "vips_image_get_fields": (POINTER(c_char_p), c_void_p),
    "vips_array_double_new": (c_void_p, POINTER(c_double), c_int),
    "vips_area_unref": (None, c_void_p),
    "vips_error_buffer": (c_char_p,),
    "vips_error_clear": (None,),
    "g_object_unref": (None, c_void_p),
    "g_strfreev": (None, c_void_p),
    "g_free": (None, c_void_p),
}
_SLOW: dict[str, tuple[Any, ...]] = {
    "vips_jpegload_buffer": _LOADER,
    "vips_pngload_buffer": _LOADER,
    "vips_webpload_buffer": _LOADER,
    "vips_jpegsave_buffer": _SAVER,
    "vips_pngsave_buffer": _SAVER,
    "vips_webpsave_buffer": _SAVER,
    "vips_image_copy_memory": (c_void_p, c_void_p),
    "g_object_unref": (None, c_void_p),
}


class _Functions:
    """The functions of *library* by their names; None where there is no library."""

    def __init__(self, library: ctypes.CDLL | None, table: Mapping[str, tuple[Any, ...]]) -> None:
        for name, (result, *arguments) in table.items():
            function: Any = None if library is None else getattr(library, name)
            if function is not None:
                function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def _opened(kind: type[ctypes.CDLL], table: Mapping[str, tuple[Any, ...]]) -> ctypes.CDLL | None:
    """The library that pyvips has loaded; None where it cannot be found, or lacks a function."""
    path = library_path()
    try:
        library = kind(path) if path else None
    except OSError:
        return None
    return library if all(hasattr(library, name) for name in table) else None


QUICK = _Functions(_opened(ctypes.PyDLL, _QUICK), _QUICK)
SLOW = _Functions(_opened(ctypes.CDLL, _SLOW) if QUICK.g_object_unref else None, _SLOW)

# The optional arguments of loaders and savers that are passed here: the numbers of libvips' enumerations by name...
_CHOICES: dict[str, dict[str, int]] = {
    "access": {"random": 0, "sequential": 1},
    "fail_on": {"none": 0, "truncated": 1, "error": 2, "warning": 3},
    "filter": {"none": 8, "sub": 16, "up": 32, "avg": 64, "paeth": 128, "all": 248},
    "preset": {"default": 0, "picture": 1, "photo": 2, "drawing": 3, "icon": 4, "text": 5},
    "subsample_mode": {"auto": 0, "on": 1, "off": 2},
}
# ... fractions, and whole numbers, among them those that are True or False.
_FRACTIONS = ("scale",)
_NUMBERS = (
    *("shrink", "page", "n", "unlimited"),
    *("Q", "interlace", "trellis_quant", "overshoot_deringing", "optimize_scans", "quant_table"),
    *("optimize_coding", "palette", "bitdepth", "effort", "lossless", "near_lossless", "smart_subsample"),
)
_NAMES = {name: name.replace("_", "-").encode() for name in (*_CHOICES, *_FRACTIONS, *_NUMBERS)}


def optional_arguments(options: Mapping[str, Any]) -> list[Any] | None:
    """*options* as the last arguments of a function, with the None that ends them; None where one is not known here."""
    arguments: list[Any] = []
    for name, value in options.items():
        if name not in _NAMES:
            return None
        if name in _CHOICES:
            value = _CHOICES[name].get(value)
            if value is None:
                return None
        arguments += _NAMES[name], c_double(value) if name in _FRACTIONS else int(value)
    arguments.append(None)
    return arguments


def errors_so_far() -> int:
    """The length of libvips' error text, to which every failure in the process adds; `failed` wants it."""
    return len(QUICK.vips_error_buffer())


def failed(function: Any, before: int = 0) -> Exception:
    """Returns the error of *function*, which has just failed, as pyvips would raise it.

    *before* is `errors_so_far` before the call: what an earlier picture has left in the text is no error of this one.
    """
    text = QUICK.vips_error_buffer()
    QUICK.vips_error_clear()
    name = function.__name__.removeprefix("vips_")
    error: Exception = pyvips.Error(f"unable to call {name}", (text[before:] or text).decode("utf-8", "replace"))
    return error
