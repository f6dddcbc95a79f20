"""What is called in libvips directly does as pyvips' calls do: the same pixels, bytes and errors, and no leak."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from ctypes import byref, c_void_p
from typing import Any

import pytest
import pyvips
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imgforge.errors import NotAnImage
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process, vips_image
from imgforge.processing.pyvips_compat import usage
from imgforge.processing.vips_calls import QUICK, optional_arguments
from imgforge.processing.vips_image import DirectImage, encode, field_names, load, remove_fields
from tests.support import pictures
from tests.support.fresh_python import output_of

PICTURE = pictures.gradient(120, 80)
CLEAR = PICTURE.convert("RGBA")
CLEAR.putalpha(Image.linear_gradient("L").resize(CLEAR.size))
BODIES = {
    "jpegload_buffer": pictures.encode(PICTURE, "JPEG"),
    "pngload_buffer": pictures.encode(CLEAR, "PNG"),
    "webpload_buffer": pictures.encode(CLEAR, "WEBP"),
}
STRICT = {"access": "sequential", "fail_on": "truncated"}

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "resize": lambda image: image.resize(0.4, vscale=0.7, kernel="lanczos3"),
    "resize, cubic": lambda image: image.resize(1.4, vscale=1.4, kernel="cubic"),
    "crop": lambda image: image.crop(7, 3, 30, 20),
    "premultiply": lambda image: image.premultiply(),
    "unpremultiply": lambda image: image.premultiply().unpremultiply(),
    "cast": lambda image: image.premultiply().cast("ushort"),
    "extract_band": lambda image: image.extract_band(1),
    "extract_band, n": lambda image: image.extract_band(0, n=2),
    "flatten": lambda image: image.flatten(background=[1, 20.5, 255][: image.bands - 1]),
    "flatten on black": lambda image: image.flatten(),
    "colourspace": lambda image: image.colourspace("b-w"),
    "colourspace of another": lambda image: image.colourspace("scrgb", source_space="srgb"),
    "colourspace, rare": lambda image: image.colourspace("hsv"),
    "copy": lambda image: image.copy(xres=2.5, yres=3.5),
    "copy as another": lambda image: image.copy(interpretation="rgb"),
    "copy_memory": lambda image: image.copy_memory(),
    "rot": lambda image: image.copy_memory().rot("d90").rot("d270").rot("d180"),
    "fliphor": lambda image: image.copy_memory().fliphor(),
    "flipver": lambda image: image.copy_memory().flipver(),
    "an operation of pyvips": lambda image: image.invert().wrap(x=3, y=2),
    "an operation of pyvips in between": lambda image: image.crop(0, 0, 50, 50).invert().resize(0.5, vscale=0.5),
}
HEADER = ("width", "height", "bands", "format", "interpretation", "coding", "xres", "yres")


def opened(loader: str, **options: Any) -> tuple[Any, Any]:
    """The same picture opened here and by pyvips."""
    options |= STRICT
    return load(loader, BODIES[loader], **options), pyvips.Operation.call(loader, BODIES[loader], **options)


def header(image: Any) -> list[object]:
    return [*(getattr(image, name) for name in HEADER), bool(image.hasalpha()), field_names(image)]


@pytest.mark.parametrize("loader", list(BODIES))
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_operations_make_the_pixels_that_pyvips_makes(loader: str, name: str) -> None:
    ours, theirs = (OPERATIONS[name](image) for image in opened(loader))
    assert header(ours) == header(theirs)
    assert ours.write_to_memory() == theirs.write_to_memory()


def test_operations_of_every_small_picture_are_direct() -> None:
    for name in ("resize", "crop", "premultiply", "cast", "extract_band, n", "flatten", "colourspace", "copy"):
        assert isinstance(OPERATIONS[name](opened("pngload_buffer")[0]), DirectImage), name


@pytest.mark.parametrize(
    ("loader", "options"),
    [
        ("jpegload_buffer", {"shrink": 2}),
        ("webpload_buffer", {"scale": 0.37}),
        ("webpload_buffer", {"page": 0, "n": 1}),
        ("pngload_buffer", {"unlimited": True}),
        ("jpegload_buffer", {"autorotate": True}),  # not known here: pyvips opens it
    ],
)
def test_options_of_loaders_are_passed(loader: str, options: dict[str, Any]) -> None:
    ours, theirs = opened(loader, **options)
    assert header(ours) == header(theirs)
    assert ours.write_to_memory() == theirs.write_to_memory()


@pytest.mark.parametrize(
    ("saver", "options"),
    [
        ("jpegsave_buffer", {"Q": 77, "optimize_coding": True, "interlace": True, "subsample_mode": "off"}),
        ("jpegsave_buffer", {"Q": 30}),
        ("pngsave_buffer", {"filter": "all", "interlace": False}),
        ("pngsave_buffer", {"filter": "none", "palette": True, "bitdepth": 4}),
        ("webpsave_buffer", {"Q": 60, "effort": 2, "preset": "photo", "smart_subsample": True}),
        ("webpsave_buffer", {"near_lossless": True, "preset": "default"}),
        ("webpsave_buffer", {"lossless": True}),
        ("tiffsave_buffer", {"Q": 60}),
        ("pngsave_buffer", {"compression": 9}),  # not known here: pyvips saves it
    ],
)
def test_savers_write_the_bytes_that_pyvips_writes(saver: str, options: dict[str, Any]) -> None:
    ours, theirs = opened("pngload_buffer")
    body = bytes(pyvips.Operation.call(saver, theirs, **options))
    assert encode(saver, ours, **options) == body
    assert encode(saver, opened("pngload_buffer")[1], **options) == body


def test_numbers_of_names_are_those_of_libvips() -> None:
    for option, kind, names in (
        ("access", "VipsAccess", ("random", "sequential")),
        ("fail_on", "VipsFailOn", ("none", "truncated", "error", "warning")),
        ("filter", "VipsForeignPngFilter", ("none", "sub", "up", "avg", "paeth", "all")),
        ("preset", "VipsForeignWebpPreset", ("default", "picture", "photo", "drawing", "icon", "text")),
        ("subsample_mode", "VipsForeignSubsample", ("auto", "on", "off")),
    ):
        number = pyvips.GValue.to_flag if option == "filter" else pyvips.GValue.to_enum
        for name in names:
            arguments = optional_arguments({option: name})
            assert arguments is not None
            assert arguments[1:] == [number(pyvips.type_from_name(kind), name), None]


def test_what_is_not_known_is_left_to_pyvips() -> None:
    assert optional_arguments({"Q": 5, "profile": "x"}) is None
    assert optional_arguments({"preset": "unheard of"}) is None


@pytest.mark.parametrize("loader", list(BODIES))
@pytest.mark.parametrize("length", [12, 30, 100])
def test_a_header_that_cannot_be_read_is_the_error_of_pyvips(loader: str, length: int) -> None:
    errors = []
    for opening in (load, pyvips.Operation.call):
        with pytest.raises(pyvips.Error) as caught:
            opening(loader, BODIES[loader][:length], **STRICT).avg()
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("saver", ["jpegsave_buffer", "pngsave_buffer", "webpsave_buffer"])
@pytest.mark.parametrize("loader", list(BODIES))
def test_pixels_that_cannot_be_read_are_the_error_of_pyvips(loader: str, saver: str) -> None:
    errors = []
    body = BODIES[loader][: len(BODIES[loader]) * 3 // 4]
    for opening, saving in ((load, encode), (pyvips.Operation.call, pyvips.Operation.call)):
        with pytest.raises(pyvips.Error) as caught:
            saving(saver, opening(loader, body, **STRICT))
        errors.append(str(caught.value).splitlines()[:2])
    assert errors[0] == errors[1]


def test_what_an_earlier_picture_has_left_in_the_error_text_is_not_told() -> None:
    image, out = load("pngload_buffer", BODIES["pngload_buffer"]), c_void_p()
    assert QUICK.vips_crop(image.address, byref(out), 500, 500, 5, 5, None)
    with pytest.raises(pyvips.Error, match=r"unable to call jpegload_buffer\n +VipsJpeg: premature end") as caught:
        load("jpegload_buffer", BODIES["jpegload_buffer"][:30])
    assert "extract" not in str(caught.value)
    with pytest.raises(pyvips.Error, match=r"unable to call crop\n +extract_area: bad extract area"):
        image.crop(500, 500, 5, 5)


def test_an_operation_that_fails_is_the_error_of_pyvips() -> None:
    errors = []
    for image in opened("jpegload_buffer"):
        with pytest.raises(pyvips.Error) as caught:
            image.crop(100, 70, 50, 50)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_the_file_lives_as_long_as_what_is_made_of_its_image() -> None:
    expected = opened("pngload_buffer")[1].crop(0, 0, 100, 70).write_to_memory()
    makers: tuple[Callable[[Any], Any], ...] = (
        lambda image: image.crop(0, 0, 100, 70),
        lambda image: image.invert().invert().crop(0, 0, 100, 70),
    )
    for maker in makers:
        image = maker(load("pngload_buffer", new_bytes(BODIES["pngload_buffer"]), **STRICT))
        gc.collect()
        noise = [bytes([number % 256]) * len(BODIES["pngload_buffer"]) for number in range(200)]
        assert image.write_to_memory() == expected
        del noise


def new_bytes(body: bytes) -> bytes:
    """The same bytes in a new object, which nothing else refers to."""
    return bytes(bytearray(body))


def test_fields_are_listed_and_removed_also_where_their_names_are_not_utf8() -> None:
    comments = PngInfo()
    comments.add_text("caf\xe9", "text")
    comments.add_text("plain", "text")
    body = pictures.encode(PICTURE, "PNG", pnginfo=comments)
    for image in (load("pngload_buffer", body).copy(), pyvips.Image.new_from_buffer(body, "").copy()):
        names = field_names(image)
        remove_fields(image, ["png-comment-0-caf\udce9"])
        assert set(names) - set(field_names(image)) == {"png-comment-0-caf\udce9"}


@pytest.mark.parametrize("loader", list(BODIES))
def test_renditions_are_the_same_where_the_library_is_not_found(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [
        ProcessingOptions(width=30, height=30, resizing_type="fill", format=name, rotate=rotate)
        for name in ("jpeg", "png", "webp")
        for rotate in (0, 90)
    ]
    direct = [process(BODIES[loader], options, ProcessingSettings()) for options in edits]
    monkeypatch.setattr(vips_image, "_LOADERS", {})
    assert [process(BODIES[loader], options, ProcessingSettings()) for options in edits] == direct


def print_growth() -> None:
    """What libvips holds more after thousands of pictures: bytes, allocations, KiB of the process."""
    edits = [
        ("jpegload_buffer", ProcessingOptions(width=30, height=30, resizing_type="fill", format="webp")),
        ("pngload_buffer", ProcessingOptions(width=40, format="jpeg")),
        ("webpload_buffer", ProcessingOptions(width=40, rotate=90, format="png")),
    ]

    def work(times: int) -> None:
        for _ in range(times):
            for loader, options in edits:
                process(BODIES[loader], options, ProcessingSettings())
                with pytest.raises(NotAnImage):
                    process(BODIES[loader][: len(BODIES[loader]) // 2], options, ProcessingSettings())

    work(100)
    gc.collect()
    before, peak = usage(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(500)
    gc.collect()
    after, grown = usage(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(*(int(after[name] - before[name]) for name in ("memory_bytes", "allocations")), grown)


def test_nothing_is_kept_of_thousands_of_pictures() -> None:
    printed = output_of("from tests.processing.test_vips_image import print_growth; print_growth()")
    held, allocations, grown = map(int, printed.split())
    assert (held, allocations) == (0, 0)
    assert grown < 8 * 1024  # one leaked file each would be 10 MiB
