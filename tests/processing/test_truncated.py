"""Files that end too early where the operator wants them shown as far as they go."""

from __future__ import annotations

import numpy as np
import pytest

from imgforge.errors import NotAnImage, SourceTooLarge
from imgforge.model import InfoOptions, ProcessingOptions, Watermark
from imgforge.processing import FORMATS, ProcessingSettings, describe, detect_format, process
from tests.support.bitmaps import bmp
from tests.support.damaged import NOISE, sliced, whole
from tests.support.images import Pixels, animation, decoded, encoded, smooth

SERVE, REFUSE = ProcessingSettings(truncated_images="serve"), ProcessingSettings()
PNG = ProcessingOptions(format="png")
TIFF = ProcessingOptions(format="tiff")  # which makes no palette
PICTURE = smooth(240, 160)

PARTS = {
    "jpeg": encoded(PICTURE, "JPEG", quality=95),
    "png": encoded(NOISE),
    "gif": encoded(NOISE, "GIF", interlace=False),
    "tiff": encoded(NOISE, "TIFF"),
    "bmp": encoded(NOISE, "BMP"),
}


def part(body: bytes, share: float = 0.5) -> bytes:
    return body[: int(len(body) * share)]


def shown(body: bytes, options: ProcessingOptions = TIFF) -> Pixels:
    rendition = process(body, options, SERVE)
    assert rendition.truncated
    return decoded(rendition.body)[:, :, :3]


@pytest.mark.parametrize("name", list(PARTS))
def test_what_there_is_of_a_file_is_shown(name: str) -> None:
    body = PARTS[name]
    expected, got = decoded(process(body, TIFF, SERVE).body)[:, :, :3].astype(int), shown(part(body)).astype(int)
    assert got.shape == expected.shape
    if name == "bmp":  # which begins at the bottom
        expected, got = expected[::-1], got[::-1]
    assert np.abs(expected[:60] - got[:60]).max() <= 2
    rest = got[-40:]
    assert len(np.unique(rest.reshape(-1, 3), axis=0)) <= 40, "what is missing is of one colour, not of other memory"
    with pytest.raises(NotAnImage):
        process(part(body), PNG, REFUSE)


def test_a_whole_file_is_the_same_with_either_setting_and_bears_no_mark() -> None:
    for name, body in PARTS.items():
        one, other = process(body, PNG, SERVE), process(body, PNG, REFUSE)
        assert one == other, name
        assert not one.truncated


@pytest.mark.parametrize("options", [
    ProcessingOptions(format="jpeg", width=20), ProcessingOptions(format="webp", width=100, rotate=90),
])  # fmt: skip
def test_a_part_goes_through_all_stages(options: ProcessingOptions) -> None:
    for name, body in PARTS.items():
        made, half = process(body, options, SERVE), process(part(body), options, SERVE)
        assert (half.width, half.height, half.truncated) == (made.width, made.height, True), name


def test_what_its_reader_cannot_show_in_part_is_refused_with_the_same_words() -> None:
    for name in ("webp", "lossless webp", "avif"):
        said = []
        for settings in (SERVE, REFUSE):
            with pytest.raises(NotAnImage) as caught:
                process(part(whole(name)), PNG, settings)
            said.append(caught.value.message)
        assert said[0] == said[1]
    for body in (b"words", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"):
        with pytest.raises(NotAnImage):
            process(body, PNG, SERVE)


def test_frames_that_are_there_are_shown() -> None:
    body = animation([NOISE, 255 - NOISE, NOISE], [50, 50, 50], 0, "gifsave_buffer")
    moving = ProcessingSettings(truncated_images="serve", max_animation_frames=9)
    for share, least in ((0.3, 1), (0.6, 2), (0.95, 3)):
        rendition = process(part(body, share), ProcessingOptions(format="gif"), moving)
        assert (rendition.height, rendition.truncated) == (160, True)
        info = describe(rendition.body, InfoOptions(pages_number=True), REFUSE)
        assert info["pages_number"] == least


def test_a_tiff_whose_first_page_is_there_is_whole() -> None:
    body = sliced(NOISE)
    assert not process(body, PNG, SERVE).truncated
    cut = encoded(NOISE, "TIFF")[:-9000]
    assert shown(cut).shape == (160, 240, 3)


def test_runs_of_a_bmp_stand_as_far_as_they_were_read() -> None:
    got = shown(bmp(b"\6\1\0\0\3\2"))
    assert got.tolist() == [[[0, 0, 0]] * 6, [[0, 255, 0]] * 3 + [[0, 0, 0]] * 3, [[255, 0, 0]] * 6]


def test_transparent_pixels_that_are_missing_stay_clear() -> None:
    body = encoded(np.full((20, 20, 4), 200, np.uint8), "BMP")
    got = decoded(process(part(body), PNG, SERVE).body)
    assert (got[0, 0, 3], got[-1, 0, 3]) == (0, 200)


def test_limits_hold_for_a_part() -> None:
    small = ProcessingSettings(truncated_images="serve", max_src_resolution=0.01)
    with pytest.raises(SourceTooLarge):
        process(part(PARTS["png"]), PNG, small)


def test_a_watermark_is_whole_or_refused() -> None:
    options = ProcessingOptions(format="png", watermark=Watermark(1.0))
    with pytest.raises(NotAnImage):
        process(PARTS["png"], options, SERVE, watermarks={"": part(PARTS["jpeg"])})


def test_info_says_so_where_it_reads_pixels() -> None:
    for name, body in PARTS.items():
        info = describe(part(body), InfoOptions(average=True), SERVE)
        assert (info["truncated"], info["width"], info["height"]) == (True, 240, 160), name
        assert "truncated" not in describe(body, InfoOptions(average=True), SERVE)
        with pytest.raises(NotAnImage):
            describe(part(body), InfoOptions(average=True), REFUSE)


def test_the_documents_name_the_formats() -> None:
    assert {detect_format(body) for body in PARTS.values()} == {name for name, one in FORMATS.items() if one.partial}
