"""Broken files are refused; half an image is never served."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgforge.errors import ImgforgeError, NotAnImage
from imgforge.model import InfoOptions, ProcessingOptions
from imgforge.processing import ProcessingSettings, check_format, describe, process
from tests.support.damaged import FILES, NOISE, sliced, whole
from tests.support.images import animation, encoded

SETTINGS = ProcessingSettings()


EDITS = (
    ProcessingOptions(format="png"),
    ProcessingOptions(format="jpeg", width=20),
    ProcessingOptions(format="webp", width=100, rotate=90),
)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("name", list(FILES))
def test_a_truncated_file_is_no_image(name: str, share: float) -> None:
    body = whole(name)
    part = body[: int(len(body) * share)]
    for options in EDITS:
        process(body, options, SETTINGS)
        with pytest.raises(NotAnImage):
            process(part, options, SETTINGS)


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg"])
def test_a_jpeg_that_says_that_it_ends_is_shown_as_imgproxy_shows_it(name: str) -> None:
    """Half of its data and an end marker: what libjpeg tells of that is a warning as of any harmless oddity."""
    body = whole(name)
    part = body[: len(body) // 2].rstrip(b"\xff") + b"\xff\xd9"
    for options in EDITS:
        made, half = (process(source, options, SETTINGS) for source in (body, part))
        assert (half.width, half.height) == (made.width, made.height)


@pytest.mark.parametrize("saver", ["gifsave_buffer", "webpsave_buffer"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_animation_is_none(saver: str, share: float) -> None:
    film_body = animation([NOISE, 255 - NOISE, NOISE], [50, 50, 50], 0, saver)
    moving = ProcessingSettings(max_animation_frames=10)
    with pytest.raises(NotAnImage):
        process(film_body[: int(len(film_body) * share)], ProcessingOptions(format="webp"), moving)


@pytest.mark.parametrize("body", [b"", b"words", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"<svg", bytes(99)])
def test_what_is_no_image_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnImage):
        process(body, ProcessingOptions(), SETTINGS)
    with pytest.raises(NotAnImage):
        describe(body, InfoOptions(), SETTINGS)


def test_a_client_is_told_what_it_is_instead() -> None:
    for content_type, said in (
        ("Text/HTML; charset=utf-8", "text/html, 5 bytes"),
        ("", "5 bytes"),
        ("evil\u2028words about/anything at all", "5 bytes"),
        ("a/" + "b" * 999, "a/" + "b" * 64 + ", 5 bytes"),
    ):
        with pytest.raises(NotAnImage) as caught:
            check_format(b"words", content_type)
        assert caught.value.message == f"the source is no image of a known format: {said}"
    assert check_format(whole("png"), "text/html") == "png"  # the content decides


@pytest.mark.parametrize("how", [{}, {"tile": True, "tile_width": 64, "tile_height": 64}, {"bigtiff": False}])
def test_each_page_of_a_tiff_is_judged_for_itself(how: dict[str, Any]) -> None:
    body = sliced(NOISE, **how)
    made = process(body, ProcessingOptions(format="png", pages=3), SETTINGS)
    assert made.height == 3 * NOISE.shape[0]
    with pytest.raises(NotAnImage):
        process(body[:60_000], ProcessingOptions(format="png"), SETTINGS)


def test_files_of_other_programs_are_whole() -> None:
    """Depths, bands and planes that must not be taken for truncated."""
    grey = NOISE[:, :, 0].copy()
    for pixels, mode in ((grey, None), (grey, "1"), (NOISE, None), (NOISE, "CMYK"), (NOISE, "RGBA"), (NOISE, "P")):
        made = process(encoded(pixels, "TIFF", mode), ProcessingOptions(format="png"), SETTINGS)
        assert (made.width, made.height) == (240, 160), mode


def test_a_gif_without_its_trailer_is_whole() -> None:
    body = animation([NOISE, 255 - NOISE], [50, 50], 0, "gifsave_buffer")
    assert body.endswith(b"\x00;")
    made = process(body[:-1], ProcessingOptions(format="gif"), ProcessingSettings(max_animation_frames=5))
    assert (made.width, made.height) == (240, 160)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6))
def test_any_damage_is_an_image_or_an_error_with_a_status(name: str, changes: list[tuple[float, int]]) -> None:
    body = bytearray(whole(name))
    for place, value in changes:
        body[int(place * (len(body) - 1))] = value
    kind, said = outcome(bytes(body))
    assert kind in {"jpeg", 400, 422}
    assert "\n" not in said
    assert not re.search(r"(?:^|[\s'\"(])/", said)  # no paths of ours; libjpeg has "progressive/lossless"


def outcome(body: bytes) -> tuple[str | int, str]:
    """The result's format, or the error's status and message."""
    try:
        return process(body, ProcessingOptions(format="jpeg", width=40), SETTINGS).format, ""
    except ImgforgeError as error:
        return error.status, error.message
