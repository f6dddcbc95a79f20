"""Names of pyvips and libvips that have no public form in pyvips, each with its reason and what would replace it.

Everything else in this package talks to libvips through pyvips' operations. tests/processing/test_pyvips_compat.py
shows that the names exist and behave.
"""

from __future__ import annotations

import ctypes
from functools import cache
from traceback import walk_tb
from typing import Any

import pyvips

__all__ = [
    "RELIED_ON",
    "AddressedImage",
    "field_names",
    "library_path",
    "log_warnings_only",
    "readable_error",
    "remove_field",
    "survive_nested_lines",
    "usage",
]

# Names of the module pyvips: why they are needed, and the public hook that would replace them.
RELIED_ON = {
    "_remove_log_handler": ("Stops libvips' information from reaching Python.", "A log level as an argument."),
    "_log_handler_id": ("The handler that is replaced, so that pyvips removes the new one at its end.", "As above."),
    "_log_handler_cb": ("pyvips' own handler, for warnings.", "As above."),
    "glib_lib": ("Sets the log handler, and frees GLib's memory.", "As above; get_fields that takes any bytes."),
    "vips_lib": (
        "Reads and removes fields whose names are not UTF-8, and clears error texts that are not.",
        "get_fields and remove that take bytes; an Error that takes any text.",
    ),
    "ffi": ("Strings and null pointers of the two, and images by their address.", "As above; Image.from_address."),
    "gobject_lib": ("References to images by their address.", "Image.from_address."),
}


class AddressedImage(pyvips.Image):  # type: ignore[misc]
    """An image of libvips by its address, with a reference to it that a subclass gives up at its end.

    pyvips' own pointer, which costs a call and a finalizer, is made when an operation of pyvips wants it. `_references`
    are the objects, such as the buffer that the image is read from, that have to live as long: pyvips hands them on to
    the results of its operations.
    """

    __slots__ = ("_owned", "address")

    def __init__(self, address: int, references: list[Any]) -> None:
        self.address = address
        self._references = references  # type: ignore[misc]
        self._handles: list[Any] = []  # type: ignore[misc]
        self._owned: Any = None

    @property
    def references(self) -> list[Any]:
        """The objects that have to live as long as the image."""
        return self._references

    @property
    def pointer(self) -> Any:
        """The image for functions of pyvips."""
        if self._owned is None:
            library: Any = pyvips
            pointer = library.ffi.cast("VipsImage *", self.address)
            library.gobject_lib.g_object_ref(pointer)
            self._owned = library.ffi.gc(pointer, library.gobject_lib.g_object_unref)
        return self._owned

    @property
    def vobject(self) -> Any:
        """The image for functions that take any object of libvips."""
        return pyvips.ffi.cast("VipsObject *", self.pointer)

    @property
    def gobject(self) -> Any:
        """The image for functions that take any object of GLib."""
        return pyvips.ffi.cast("GObject *", self.pointer)


@cache
def log_warnings_only() -> None:
    """Keep libvips' informational lines from Python.

    pyvips sends them all to `logging`: some ten lines an image, for each of which a thread that works in libvips has to
    wait for the interpreter.
    """
    library: Any = pyvips
    levels = library.GLogLevelFlags
    library._remove_log_handler()  # noqa: SLF001
    library._log_handler_id = library.glib_lib.g_log_set_handler(  # noqa: SLF001
        b"VIPS",
        levels.LEVEL_ERROR | levels.LEVEL_CRITICAL | levels.LEVEL_WARNING | levels.FLAG_FATAL | levels.FLAG_RECURSION,
        library._log_handler_cb,  # noqa: SLF001
        library.ffi.NULL,
    )
    survive_nested_lines()


def survive_nested_lines() -> None:
    """Keep GLib from ending the process where a line is logged while its thread logs another one.

    Python may collect garbage while it logs a line of libvips, and an image that is freed by that may have a line too,
    such as of a file that ends too early. GLib takes that for endless recursion. It prints the second line itself.
    """
    library, only_errors = _library(), pyvips.GLogLevelFlags.LEVEL_ERROR
    if library is not None:
        library.g_log_set_always_fatal(only_errors)
        library.g_log_set_fatal_mask(b"VIPS", only_errors)


def field_names(image: Any) -> list[str]:
    """The names of an image's metadata fields; those of a PNG's comments may not be UTF-8, where `get_fields` fails."""
    array = pyvips.vips_lib.vips_image_get_fields(image.pointer)
    names: list[str] = []
    while array[len(names)] != pyvips.ffi.NULL:
        name = array[len(names)]
        names.append(pyvips.ffi.string(name).decode("utf-8", "surrogateescape"))
        pyvips.glib_lib.g_free(name)
    pyvips.glib_lib.g_free(array)
    return names


def remove_field(image: Any, name: str) -> None:
    """Remove the metadata field *name*, as `field_names` returns it."""
    pyvips.vips_lib.vips_image_remove(image.pointer, name.encode("utf-8", "surrogateescape"))


def readable_error(error: UnicodeDecodeError) -> pyvips.Error | None:
    """The error of libvips that pyvips was about to raise, when it met a text that is not UTF-8; None for other texts.

    Some texts repeat bytes of the file. pyvips leaves such a text to the next failure, of any file, which would fail to
    be read as well: it is cleared.
    """
    if all(frame.f_code is not pyvips.Error.__init__.__code__ for frame, _ in walk_tb(error.__traceback__)):
        return None
    pyvips.vips_lib.vips_error_clear()
    return pyvips.Error("libvips failed", error.object.decode("utf-8", "replace"))


@cache
def library_path() -> str | None:
    """The path of the libvips that pyvips has loaded; None if it cannot be found."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            paths = {line.split(None, 5)[5].strip() for line in maps if "/libvips" in line}
    except OSError:
        return None
    return next((path for path in sorted(paths) if "libvips-cpp" not in path), None)


@cache
def _library() -> ctypes.CDLL | None:
    """The loaded libvips, for functions that pyvips does not declare; None if it cannot be found."""
    path = library_path()
    if path is None:
        return None
    library = ctypes.CDLL(path)
    library.vips_tracked_get_mem.restype = ctypes.c_size_t
    library.vips_tracked_get_mem_highwater.restype = ctypes.c_size_t
    return library


def usage() -> dict[str, float]:
    """libvips' own figures: memory in bytes, allocations, open files, threads for one image; empty if unknown."""
    library = _library()
    if library is None:
        return {}
    return {
        "memory_bytes": library.vips_tracked_get_mem(),
        "memory_highwater_bytes": library.vips_tracked_get_mem_highwater(),
        "allocations": library.vips_tracked_get_allocs(),
        "files": library.vips_tracked_get_files(),
        "threads": library.vips_concurrency_get(),
    }
