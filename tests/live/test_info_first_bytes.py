"""`/info` of large sources reads their first bytes where the header has all fields, and answers the same."""

from __future__ import annotations

import io
from random import Random
from urllib.parse import quote

import pyvips
from PIL import Image, PngImagePlugin
from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode
from tests.support.process import Origin, Twistd

_FIRST = 64 << 10


def _noise(width: int, height: int) -> Image.Image:
    """A picture that compresses badly."""
    return Image.frombytes("RGB", (width, height), Random(7).randbytes(width * height * 3))


def _with_texts(picture: Image.Image, length: int) -> bytes:
    """A PNG with a text of *length* characters before its pixels, and metadata behind them, where no reader looks."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Before", Random(8).randbytes(length // 2).hex())
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
    texts.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp + b"</x:xmpmeta>", True)
    texts.add(b"eXIf", _exif().removeprefix(b"Exif\0\0"), True)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=texts)
    return buffer.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6
    return exif.tobytes()


class FirstBytesTests(SynchronousTestCase):
    """One server, an origin with ranges and one without, which have the same files."""

    server: Twistd
    files: dict[str, bytes]
    ranged: Origin
    plain: Origin

    @classmethod
    def setUpClass(cls) -> None:
        large, transparent = _noise(500, 400), _noise(500, 400).convert("RGBA")
        transparent.putalpha(_noise(500, 400).convert("L"))
        pyvips_image = pyvips.Image.new_from_memory(large.tobytes(), 500, 400, 3, "uchar").copy(interpretation="srgb")
        frames = [_noise(400, 300) for _ in range(4)]
        gif = io.BytesIO()
        frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:])
        photo = encode(large, "JPEG", quality=95, exif=_exif())
        cls.files = {
            "/large.jpg": photo,
            "/large.png": encode(large, "PNG"),
            "/texts.png": _with_texts(large, 100_000),
            "/many-texts.png": _with_texts(large, 1_500_000),
            "/profile.jpg": encode(large, "JPEG", quality=95, icc_profile=Random(9).randbytes(100_000)),
            "/progressive.jpg": encode(large, "JPEG", quality=95, progressive=True),
            "/large.gif": gif.getvalue(),
            "/large.webp": encode(large, "WEBP", quality=95),
            "/lossless.webp": encode(large, "WEBP", lossless=True, icc_profile=Random(9).randbytes(1000)),
            "/alpha.webp": encode(transparent, "WEBP", quality=80),
            "/exif.webp": encode(large, "WEBP", quality=95, exif=_exif()),
            "/film.webp": encode(large, "WEBP", quality=95, save_all=True, append_images=[large.rotate(180)]),
            "/large.tiff": encode(large, "TIFF"),
            "/large.avif": encode(large, "AVIF", quality=95),
            "/exif.avif": encode(large, "AVIF", quality=95, exif=_exif(), icc_profile=Random(9).randbytes(1000)),
            "/profile.avif": encode(large, "AVIF", quality=95, icc_profile=Random(9).randbytes(300_000)),
            "/behind.avif": bytes(pyvips_image.heifsave_buffer(compression="av1", effort=0, Q=95)),
            "/truncated.webp": encode(large, "WEBP", quality=95)[:-1000],
            "/truncated.avif": encode(large, "AVIF", quality=95)[:-1000],
            "/small.png": encode(_noise(20, 10), "PNG"),
            "/truncated.jpg": photo[: len(photo) // 2],
            "/broken.jpg": photo[:40] + Random(10).randbytes(200_000),
            "/text.txt": b"words " * 40_000,
            "/empty.jpg": b"",
        }
        cls.ranged = Origin(cls.files, {"Cache-Control": "max-age=60"}, ranges=True)
        cls.plain = Origin(cls.files, {"Cache-Control": "max-age=60"})
        settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1", "ALLOW_SECURITY_OPTIONS": "true"}
        cls.server = Twistd(settings).start()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()
        cls.server.clean()
        cls.ranged.close()
        cls.plain.close()

    def info(self, origin: Origin, path: str, options: str = "") -> tuple[int, bytes, str]:
        reply = self.server.get(f"/info/unsafe{options}/plain/{quote(origin.url(path), safe='')}")
        return reply.status, reply.body, reply.headers.get("cache-control", "")

    def asked(self, path: str, options: str = "") -> list[str | None]:
        """The Range headers of the requests for *path* that an answer needs, which is that of the origin without."""
        before = len(self.ranged.requests)
        self.assertEqual(self.info(self.ranged, path, options), self.info(self.plain, path, options), path)
        return [told.get("range") for asked, told in self.ranged.requests[before:] if asked == path]

    def test_first_bytes_suffice(self) -> None:
        for path in (
            "/large.jpg", "/progressive.jpg", "/large.png", "/large.webp", "/lossless.webp", "/large.avif",
            "/exif.avif",
        ):  # fmt: skip
            self.assertGreater(len(self.files[path]), _FIRST)
            before = self.ranged.sent
            self.assertEqual(self.asked(path), ["bytes=0-65535"], path)
            self.assertEqual(self.ranged.sent - before, _FIRST, path)
        more = "/colorspace:1/bands:1/sample_format:1/pages_number:1/alpha:1"
        for path in ("/large.jpg", "/large.webp", "/exif.avif"):
            self.assertEqual(self.asked(path, more), ["bytes=0-65535"])
        self.assertEqual(self.asked("/truncated.jpg"), ["bytes=0-65535"])

    def test_size_is_that_of_the_whole(self) -> None:
        _, body, _ = self.info(self.ranged, "/large.jpg")
        self.assertIn(f'"size": {len(self.files["/large.jpg"])},'.encode(), body)
        self.assertIn(b'"orientation": 6', body)

    def test_more_is_asked_for_twice_and_then_the_whole(self) -> None:
        self.assertEqual(self.asked("/profile.jpg"), ["bytes=0-65535", "bytes=0-262143"])
        self.assertEqual(self.asked("/texts.png"), ["bytes=0-65535", "bytes=0-262143"])
        self.assertEqual(self.asked("/many-texts.png"), ["bytes=0-65535", "bytes=0-262143", "bytes=0-1048575", None])

    def test_formats_whose_header_is_not_first(self) -> None:
        for path in ("/large.gif", "/large.tiff", "/text.txt"):
            self.assertGreater(len(self.files[path]), _FIRST)
            self.assertEqual(self.asked(path), ["bytes=0-65535", None], path)

    def test_files_whose_metadata_or_end_is_behind_the_pixels(self) -> None:
        for path in ("/exif.webp", "/film.webp", "/behind.avif", "/truncated.webp", "/truncated.avif"):
            self.assertGreater(len(self.files[path]), _FIRST)
            self.assertEqual(self.asked(path), ["bytes=0-65535", None], path)

    def test_no_more_than_what_is_known_to_be_needed_is_asked_for(self) -> None:
        self.assertEqual(self.asked("/alpha.webp"), ["bytes=0-65535", "bytes=0-262143"])
        self.assertEqual(self.asked("/profile.avif"), ["bytes=0-65535", "bytes=0-1048575"])

    def test_small_and_odd_files(self) -> None:
        self.assertEqual(self.asked("/small.png"), ["bytes=0-65535"])
        self.assertEqual(self.asked("/small.png", "/page:0"), ["bytes=0-65535"])
        self.assertEqual(self.asked("/empty.jpg"), ["bytes=0-65535", None])
        # libvips' words may be about the image before.
        statuses = {self.info(origin, "/broken.jpg")[0] for origin in (self.ranged, self.plain)}
        self.assertEqual(statuses, {422})
        self.assertEqual(self.asked("/missing.jpg"), ["bytes=0-65535"])

    def test_fields_that_need_more_than_the_header(self) -> None:
        for options in (
            "palette:4", "average:1", "dominant_colors:1", "blurhash:2:2", "thumb_hash:1", "perceptual_hash:1",
            "calc_hashsums:md5", "alpha:1:1", "crop:10:10", "page:1", "hashsum:md5:" + "0" * 32,
        ):  # fmt: skip
            self.assertEqual(self.asked("/large.jpg", f"/{options}"), [None], options)

    def test_limits_hold_for_the_whole(self) -> None:
        for limit in (50_000, 100_000):
            self.assertEqual(self.asked("/large.jpg", f"/max_src_file_size:{limit}"), ["bytes=0-65535"])
            status, body, _ = self.info(self.ranged, "/large.jpg", f"/max_src_file_size:{limit}")
            self.assertEqual(status, 422, body)
        self.assertEqual(self.asked("/large.jpg", "/max_src_resolution:0.1"), ["bytes=0-65535"])

    def test_part_is_not_cached_as_an_original(self) -> None:
        settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1", "SOURCE_CACHE_TYPE": "memory"}
        server = Twistd(settings)
        self.addCleanup(server.clean)
        self.addCleanup(server.stop)
        server.start()
        source = quote(self.ranged.url("/large.jpg"), safe="")
        before = len(self.ranged.requests)
        self.assertEqual(server.get(f"/info/unsafe/plain/{source}").status, 200)
        self.assertEqual(server.get(f"/unsafe/w:8/plain/{source}").status, 200)
        self.assertEqual([told.get("range") for _, told in self.ranged.requests[before:]], [None])
