"""Secrets appear in no response, log line, metric, error message or output of `imgforge config`."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from imgforge.urls import Signer
from tests.support.cli import imgforge
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
# As written in the settings, as the repr of their bytes, and in base64.
REPRESENTATIONS = [
    *(KEY, SALT, CIPHER, TOKEN, TRUSTED, PASSWORD, PRESIGNED),
    *(repr(bytes.fromhex(one))[2:-1] for one in (KEY, SALT, CIPHER)),
    *(base64.b64encode(bytes.fromhex(one)).decode().rstrip("=") for one in (KEY, SALT, CIPHER)),
]


def leaked(text: str) -> list[str]:
    """Returns the secrets in *text*."""
    return [form for form in REPRESENTATIONS if form.lower() in text.lower()]


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


WITH_BASE_URL = {"BASE_URL": f"http://somebody:{PASSWORD}@127.0.0.1:9/", "PROCESSES": "2"}


@pytest.mark.parametrize(
    "settings", [{"PROCESSES": "1"}, WITH_BASE_URL], ids=["one process", "two processes and a base URL"]
)
def test_responses_log_lines_and_metrics_contain_no_secret(origin: RawOrigin, settings: dict[str, str]) -> None:
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
            for target in (signer.sign(path), f"/{TRUSTED[:-1]}{path}", f"/unsafe{path}", "/info" + signer.sign(path)):
                replies += [server.get(target, bearer), server.get(target)]
            replies.append(server.get(signer.sign(path), {"Authorization": f"bearer {TOKEN}x"}))
        for malformed in ("/enc/AAAA", "/enc/" + "A" * 64, "/w:x/plain/http://127.0.0.1/", "/pr:none/plain/http://a/"):
            replies.append(server.get(signer.sign(malformed), bearer))
        server.stop()
        for reply in replies:
            assert not leaked(reply.body.decode("latin-1")), reply.body
            assert not leaked(str(reply.headers)), reply.headers
        # The log repeats what clients sent, but contains no secret.
        assert not leaked(server.output())
    finally:
        server.clean()


def output_of(command: list[str], **settings: str) -> str:
    """Returns what `imgforge` with *command* prints, to both streams."""
    result = imgforge(*command, **{f"IMGFORGE_{name}": value for name, value in settings.items()})
    return result.stdout + result.stderr


@pytest.mark.parametrize("command", [["config"], ["config", "--schema"], ["--help"]], ids=" ".join)
def test_output_of_config_contains_no_secret(command: list[str]) -> None:
    shown = output_of(command, **SECRETS)
    assert shown
    assert not leaked(shown)


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
def test_error_messages_about_a_malformed_secret_do_not_contain_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str
) -> None:
    if "\0" in value:  # an environment variable cannot contain it
        path = tmp_path_factory.mktemp("config") / "imgforge.toml"
        path.write_text(f'{name.lower()} = "{value[:-1]}\\u0000"\n')
        shown = output_of(["config", "check", "--config", str(path)])
    else:
        shown = output_of(["config"], **SECRETS | {name: value})
    assert f"IMGFORGE_{name}" in shown or name.lower() in shown
    assert not leaked(shown)
