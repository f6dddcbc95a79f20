"""What is told of a broken file comes from the file, whatever fails at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import pyvips

from imgforge.errors import NotAnImage
from imgforge.model import InfoOptions, ProcessingOptions
from imgforge.processing import Cancellation, ProcessingSettings, describe, process
from imgforge.processing.codecs import whole_or_part
from imgforge.processing.pyvips_compat import readable_error
from tests.support.hostile_images import encoded
from tests.support.pictures import encode, gradient


def _damaged(body: bytes, at: int) -> bytes:
    """*body* with bytes in its middle that no encoder writes; nothing is missing."""
    return body[:at] + b"\xff\x00\xaa\x55" * 10 + body[at + 40 :]


_LARGE = 300, 200
JPEG, PNG, WEBP = (encoded(name, *_LARGE) for name in ("JPEG", "PNG", "WEBP"))
SHORT = "the source image is broken: it ends too early"
WRONG = "the source image is broken: it cannot be decoded"
BROKEN = {
    "a JPEG that ends early": (JPEG[: len(JPEG) // 2], SHORT),
    "a header of a JPEG": (JPEG[:30], SHORT),
    "a PNG that ends early": (PNG[: len(PNG) // 2], SHORT),
    "a PNG whose data is wrong": (_damaged(PNG, len(PNG) // 2), WRONG),
    "a WebP that ends early": (WEBP[: len(WEBP) // 2], SHORT),
    "a WebP whose data is wrong": (WEBP[:20] + bytes(len(WEBP) - 20), WRONG),
    "an SVG that is none": (b'<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0"/>', WRONG),
}


def told(name: str) -> NotAnImage:
    options = ProcessingOptions(format="png", width=20)
    with pytest.raises(NotAnImage) as caught:
        process(BROKEN[name][0], options, ProcessingSettings())
    return caught.value


@pytest.mark.parametrize("name", BROKEN)
def test_the_client_is_told_what_its_own_file_lacks(name: str) -> None:
    error = told(name)
    assert error.message == BROKEN[name][1]
    assert error.cause.startswith("libvips: ")


def test_files_that_fail_at_the_same_time_are_not_mixed_up() -> None:
    names = list(BROKEN) * 30
    with ThreadPoolExecutor(8) as threads:
        messages = [error.message for error in threads.map(told, names)]
    assert messages == [BROKEN[name][1] for name in names]


def test_the_end_of_a_thumbnail_is_not_that_of_the_picture() -> None:
    with_thumbnail = JPEG[:2] + b"\xff\xe1" + (len(JPEG) + 2).to_bytes(2, "big") + JPEG + JPEG[2:-20]
    with pytest.raises(NotAnImage, match="too early"):
        process(with_thumbnail, ProcessingOptions(format="png"), ProcessingSettings())


def _avif_with_a_strange_property() -> bytes:
    """An AVIF that says it cannot be shown without a property whose name is not UTF-8, which libheif repeats."""
    body = encode(gradient(64, 40), "AVIF")
    nclx = body.index(b"colr")
    body = body[:nclx] + b"\xbd\xbe\xbf\xc0" + body[nclx + 4 :]
    at = body.index(b"ipma")
    associations = body.index(b"\x83\x04", at)
    return body[:associations] + b"\x83\x84" + body[associations + 2 :]


def test_a_text_of_libvips_that_is_not_utf_8_spoils_neither_this_answer_nor_the_next() -> None:
    strange, gif = _avif_with_a_strange_property(), encoded("GIF", *_LARGE)[:20]
    for body in (strange, gif, strange, strange, gif):
        with pytest.raises(NotAnImage, match=WRONG) as caught:
            process(body, ProcessingOptions(format="png"), ProcessingSettings())
        assert caught.value.cause.startswith("libvips: ")
        with pytest.raises(NotAnImage, match="the source image is broken"):
            describe(body, InfoOptions(), ProcessingSettings())


def test_a_text_that_was_left_by_a_decoder_is_no_error_of_ours() -> None:
    """One that succeeded may leave a text as well; the next failure is that of an operation without a file."""
    with pytest.raises(UnicodeDecodeError) as caught:
        pyvips.Operation.call("heifload_buffer", _avif_with_a_strange_property())
    with pytest.raises(NotAnImage, match=WRONG):
        whole_or_part(JPEG, ProcessingSettings(), Cancellation(), lambda _: pyvips.Image.black(1, 1).crop(5, 5, 5, 5))
    assert readable_error(UnicodeDecodeError(*caught.value.args)) is None
    with pytest.raises(UnicodeDecodeError):
        whole_or_part(JPEG, ProcessingSettings(), Cancellation(), lambda _: b"\xff".decode())
