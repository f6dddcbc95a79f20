"""What is secret is told to nobody: not in answers, logs, metrics or `imgforge config`, whatever goes wrong."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from imgforge.urls import Signer
from tests.support.hostile_world import RawOrigin, base64_of, whole
from tests.support.pictures import encode, gradient
from tests.support.process import Twistd

KEY, SALT, CIPHER = "c0ffee" * 8, "5ec4e7" * 8, "0d15ea5e" * 8
PASSWORD, TOKEN, TRUSTED, PRESIGNED = "hunter2hunter2", "open-sesame-token", "trustedsignature", "X-Amz-Signature-99"
SECRETS = {
    "KEY": KEY,
    "SALT": SALT,
    "SOURCE_URL_ENCRYPTION_KEY": CIPHER,
    "SECRET": TOKEN,
    "TRUSTED_SIGNATURES": TRUSTED,
    "FALLBACK_IMAGE_URL": f"http://somebody:{PASSWORD}@127.0.0.1:9/fallback.png",
}
# As they stand in the settings, and as a program that prints bytes would show them.
FORMS = [
    *(KEY, SALT, CIPHER, TOKEN, TRUSTED, PASSWORD, PRESIGNED),
    *(repr(bytes.fromhex(one))[2:-1] for one in (KEY, SALT, CIPHER)),
    *(base64.b64encode(bytes.fromhex(one)).decode().rstrip("=") for one in (KEY, SALT, CIPHER)),
]


def told(text: str) -> list[str]:
    """The secrets that *text* tells."""
    return [form for form in FORMS if form.lower() in text.lower()]


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    origin = RawOrigin()
    origin.answers["/a.png"] = whole(encode(gradient(30, 20), "PNG"))
    origin.answers["/words"] = whole(b"words")
    origin.answers["/cut"] = lambda connection: connection.close()
    origin.answers["/away"] = whole(b"", "302 Found", f"Location: http://somebody:{PASSWORD}@127.0.0.1:9/?{PRESIGNED}")
    origin.answers["/nowhere"] = whole(b"", "302 Found", f"Location: http://127.0.0.1:9/a?{PRESIGNED}")
    yield origin
    origin.close()


BASED = {"BASE_URL": f"http://somebody:{PASSWORD}@127.0.0.1:9/", "PROCESSES": "2"}


@pytest.mark.parametrize("settings", [{"PROCESSES": "1"}, BASED], ids=["one process", "two and a base URL"])
def test_no_answer_log_line_or_metric_tells_a_secret(origin: RawOrigin, settings: dict[str, str]) -> None:
    signer = Signer(bytes.fromhex(KEY), bytes.fromhex(SALT))
    server = Twistd(
        SECRETS
        | {
            "LOG_LEVEL": "debug",
            "ENABLE_DEBUG_HEADERS": "true",
            "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
            "CACHE_TYPE": "memory",
        }
        | settings
    )
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    try:
        server.start()
        replies = [server.get("/"), server.get("/status"), server.get("/metrics"), server.get("/metrics", bearer)]
        for source in (
            origin.url(f"/a.png?{PRESIGNED}"),
            origin.url(f"/words?{PRESIGNED}"),
            origin.url(f"/missing?{PRESIGNED}"),
            origin.url(f"/cut?{PRESIGNED}"),
            origin.url("/away"),
            origin.url("/nowhere"),
            f"http://somebody:{PASSWORD}@127.0.0.1:9/a.png",
            f"http://127.0.0.1:9/a.png?{PRESIGNED}",
            "relative.png",
            "local:///etc/passwd",
        ):
            path = f"/w:9/{base64_of(source)}"
            for asked in (signer.sign(path), f"/{TRUSTED[:-1]}{path}", f"/unsafe{path}", "/info" + signer.sign(path)):
                replies += [server.get(asked, bearer), server.get(asked)]
            replies.append(server.get(signer.sign(path), {"Authorization": f"bearer {TOKEN}x"}))
        for wrong in ("/enc/AAAA", "/enc/" + "A" * 64, "/w:x/plain/http://127.0.0.1/", "/pr:none/plain/http://a/"):
            replies.append(server.get(signer.sign(wrong), bearer))
        server.stop()
        for reply in replies:
            assert not told(reply.body.decode("latin-1")), reply.body
            assert not told(str(reply.headers)), reply.headers
        # What a client itself sent stands in the log; nothing else may.
        assert not told(server.output())
    finally:
        server.clean()


def run(command: list[str], **settings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
    environment |= {f"IMGFORGE_{name}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-c", "from imgforge.cli import main; main()", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("command", [["config"], ["config", "--schema"], ["--help"]], ids=" ".join)
def test_the_configuration_is_shown_without_them(command: list[str]) -> None:
    shown = run(command, **SECRETS)
    assert shown
    assert not told(shown)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEY", KEY + "x"),
        ("KEY", KEY[:-1]),
        ("SALT", SALT + ",zz"),
        ("SOURCE_URL_ENCRYPTION_KEY", CIPHER + "00"),
        ("SOURCE_URL_ENCRYPTION_KEY", CIPHER[:-1]),
        ("TRUSTED_SIGNATURES", f"{TRUSTED}\0"),
        ("SECRET", f"{TOKEN}\0"),
    ],
)
def test_a_mistake_in_a_secret_does_not_show_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str
) -> None:
    if "\0" in value:  # which no environment holds
        path = tmp_path_factory.mktemp("config") / "imgforge.toml"
        path.write_text(f'{name.lower()} = "{value[:-1]}\\u0000"\n')
        shown = run(["config", "check", "--config", str(path)])
    else:
        shown = run(["config"], **SECRETS | {name: value})
    assert f"IMGFORGE_{name}" in shown or name.lower() in shown
    assert not told(shown)
