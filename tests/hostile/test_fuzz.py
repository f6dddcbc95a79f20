"""Random input: every outcome is a result or an error with a status below 500.

`IMGFORGE_FUZZ=N` runs N times as many cases; `python -m tests.hostile.fuzz_images` mutates images for hours.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgforge.cache import CorruptEntry, read_entry, write_entry
from imgforge.config import Settings
from imgforge.errors import ImgforgeError
from imgforge.model import CacheEntry, Rendition
from imgforge.service import url_settings
from imgforge.urls import OPTIONS, UrlParser
from tests.support.hostile_world import serving
from tests.support.process import ROOT

MULTIPLIER = int(os.environ.get("IMGFORGE_FUZZ", "1"))


def cases(count: int) -> settings:
    return settings(max_examples=count * MULTIPLIER, deadline=None, suppress_health_check=list(HealthCheck))


NAMES = sorted({name for option in OPTIONS for name in (option.name, *option.aliases)} | {"pr", "preset", "-"})
HOSTILE_ARGUMENTS = [
    "nan",
    "inf",
    "-1",
    "1e9",
    "99999999999",
    "%00",
    "%0a",
    "%ff",
    "%",
    "%2",
    "\u0663",
    "",
    "1",
    "0.5",
    "ce",
    "sm",
    "fp",
    "ffffff",
    "png",
    "true",
    "max",
    "AAAA",
    "..",
    "%2e%2e",
    "@",
    "plain",
    "enc",
    "?",
    "#",
    "\\",
]
ARGUMENT = st.one_of(
    st.sampled_from(HOSTILE_ARGUMENTS), st.integers(-(2**70), 2**70).map(str), st.text(max_size=8), st.floats().map(str)
)
OPTION = st.builds(lambda name, rest: ":".join([name, *rest]), st.sampled_from(NAMES), st.lists(ARGUMENT, max_size=9))
SOURCE = st.one_of(
    st.sampled_from(["plain/http://a/b.png", "aHR0cDovL2EvYi5wbmc", "plain/local:///a", "enc/AAAA", "plain/", "plain"]),
    st.text(max_size=30),
    st.builds("plain/{}@{}".format, st.text(max_size=20), ARGUMENT),
)
TARGET = st.builds(
    lambda signature, options, source: "/".join(["", signature, *options, source]),
    st.sampled_from(["unsafe", "x", "", "_"]),
    st.lists(OPTION, max_size=6),
    SOURCE,
)

PARSERS = [
    UrlParser(url_settings(Settings.from_given(given)))
    for given in (
        {},
        {"allow_security_options": True, "base_url": "http://b/", "presets": {"p": "w:1"}},
        {"only_presets": True},
    )
]


@cases(400)
@given(st.one_of(TARGET.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=200)))
def test_any_target_is_parsed_or_rejected_with_a_4xx(target: bytes) -> None:
    for parser in PARSERS:
        for parse in (parser.parse, parser.parse_info):
            rejection = None
            try:
                parse(target)
            except ImgforgeError as error:
                rejection = error
            assert rejection is None or (400 <= rejection.status < 500 and "\n" not in rejection.message)


HEAD_PARTS = (
    "GET",
    "/unsafe/w:9/plain/local:///a",
    " ",
    "HTTP/1.1",
    "\r\n",
    "\n",
    ":",
    "Host: a",
    "Accept: image/webp",
    "\0",
    "Content-Length: ",
    "Transfer-Encoding: chunked",
    "Range: bytes=",
    "9" * 30,
    "-1",
    "\x80\xff",
    "a" * 9000,
    "If-None-Match: ",
    "X-Request-ID: ",
    "Connection: close",
    "Expect: 100-continue",
    "HEAD",
    "PURGE",
    "*",
    "http://b/",
)


def response_to(port: int, request: bytes) -> bytes:
    """Sends *request* and returns everything that the server sends back before it closes the connection."""
    response = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, contextlib.suppress(OSError):
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            response += data
    return response


def test_any_request_head_gets_a_response_or_a_disconnect_and_never_a_500() -> None:
    chance = random.Random(11)
    with serving(CACHE_TYPE="memory", READ_REQUEST_TIMEOUT="5") as server:
        for _ in range(150 * MULTIPLIER):
            head = "".join(chance.choice(HEAD_PARTS) for _ in range(chance.randrange(1, 25)))
            response = response_to(server.port, head.encode("latin-1") + b"\r\n\r\n")
            assert not response or response.startswith(b"HTTP/1.")
            assert not response.startswith(b"HTTP/1.1 500")
        assert server.get("/status").status == 200


ENTRY = CacheEntry(Rendition(b"body" * 99, "png", "image/png", 9, 9, "png", 9, 9, 99), 1e9, "etag", "http://a/b.png")


@cases(250)
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=9), st.integers(0, 40)), min_size=1, max_size=4))
def test_a_damaged_cache_file_is_never_read_as_an_entry(changes: list[tuple[float, bytes, int]]) -> None:
    key = bytes(32)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "entry")
        write_entry(path, key, ENTRY)
        intact = damaged = path.read_bytes()
        for position, noise, removed in changes:
            at = int(position * len(damaged))
            damaged = damaged[:at] + noise + damaged[at + removed :]
        path.write_bytes(damaged)
        try:
            entry = read_entry(path, key)
        except CorruptEntry:
            return
    assert damaged == intact
    assert entry == ENTRY


def test_mutated_images_are_processed_or_rejected_without_a_crash() -> None:
    """Runs in a process of its own, which a decoder may crash; the report names the seed."""
    with tempfile.TemporaryDirectory() as directory:
        report_file = Path(directory, "report.json")
        command = [
            sys.executable,
            "-m",
            "tests.hostile.fuzz_images",
            "--cases",
            str(400 * MULTIPLIER),
            "--report",
            str(report_file),
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(report_file.read_text())
    assert report["cases"] == 400 * MULTIPLIER
    assert not report["findings"]
