"""`imgforge verify --batch`: each line as `imgforge verify` judges it alone."""

from __future__ import annotations

import base64
import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli.url_check import UrlCheck
from imgforge.config import load_settings
from imgforge.urls import Signer
from tests.cli.runner import Outcome, imgforge, imgforge_reading

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}
SIGNER = Signer(bytes.fromhex("aa" * 32), bytes.fromhex("bb" * 32))
GOOD = SIGNER.sign("/w:3/plain/http://x/a.jpg")
PRESETS_ONLY = {"IMGFORGE_ONLY_PRESETS": "true", "IMGFORGE_PRESETS": "thumb=w:3"}


def verify(*lines: str, form: str = "lines", arguments: tuple[str, ...] = (), **settings: str) -> Outcome:
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    return imgforge_reading(data, "verify", "--batch", "-", "--input-format", form, *arguments, **KEYS, **settings)


class VerifyBatchTests(SynchronousTestCase):
    def test_each_line_is_valid_or_invalid_with_the_reason(self) -> None:
        info = SIGNER.sign("/palette:8/plain/http://x/a.jpg")
        lines = (
            GOOD,
            f"https://h{GOOD}?v=2",
            f"/info{info}",
            GOOD + "x",
            SIGNER.sign("/wdth:3/plain/x"),
            "",
            "nonsense",
        )
        result = verify(*lines)
        self.assertEqual((result.returncode, result.stderr), (1, ""))
        rows = [line.split("\t") for line in result.stdout.split("\n")[:-1]]
        self.assertEqual([row[0] for row in rows], ["valid", "valid", "valid", "invalid", "invalid", "", "invalid"])
        self.assertEqual([row[1] for row in rows if row[0]], [line for line in lines if line])
        self.assertIn("signature does not match", rows[3][2])
        self.assertIn("the signature is good, but", rows[4][2])
        self.assertEqual(verify(*lines[:3]).returncode, 0)

    def test_lines_become_json_if_wanted(self) -> None:
        result = verify(GOOD, GOOD + "x", "\udcff", arguments=("--json",))
        found = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([row["valid"] for row in found], [True, False, False])
        self.assertEqual([row.get("url") for row in found], [GOOD, GOOD + "x", None])
        self.assertEqual((found[0].keys(), found[1].keys()), ({"url", "valid"}, {"url", "valid", "reason"}))
        self.assertEqual(imgforge("verify", GOOD, "--json", **KEYS).returncode, 2)
        self.assertEqual(verify("url", form="csv", arguments=("--json",)).returncode, 2)

    def test_the_output_of_sign_is_verified_as_it_is(self) -> None:
        sources = {"jsonl": '{"source": "http://x/ü.jpg", "n": 1}\n', "csv": "n,source\n1,http://x/ü.jpg\n"}
        for form, data in sources.items():
            arguments = ("sign", "--batch", "-", "--input-format", form, "-F", "webp", "-B", "http://h")
            signed = imgforge_reading(data.encode(), *arguments, **KEYS).stdout
            result = verify(signed, form=form)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            if form == "csv":
                rows = list(csv.reader(io.StringIO(result.stdout)))
                self.assertEqual((rows[0], rows[1][3:]), (["n", "source", "url", "valid", "reason"], ["true", ""]))
            else:
                self.assertEqual(json.loads(result.stdout)["valid"], True)
            changed = verify(signed.replace("@webp", "@png"), form=form)
            self.assertEqual((changed.returncode, "does not match" in changed.stdout), (1, True))

    def test_exactly_one_of_url_and_batch_is_taken(self) -> None:
        self.assertEqual(imgforge("verify", **KEYS).returncode, 2)
        self.assertEqual(imgforge("verify", GOOD, "--batch", "-", **KEYS).returncode, 2)


OPTIONS = st.sampled_from(
    [
        "",
        "/w:3",
        "/w:x",
        "/rs:fill:3:4/q:80",
        "/thumb",
        "/w:3//h:4",
        "/-",
        "/w:3/-/h:4",
        "/raw:1",
        "/w%3A3",
        "/pr:thumb",
        "/x",
    ]
)
SOURCES = st.one_of(
    st.sampled_from(["/plain/http://x/a.jpg", "/plain/http:/x/a", "/plain/a%20b", "/plain/a%C3", "/plain/a%0Ab"]),
    st.sampled_from(["/plain/", "/plain", "/plain/a@b", "/plain/a@webp", "/plain/a@nonsense", "/enc/abcd", "/enc"]),
    st.text(max_size=9).map(lambda text: "/" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")),
    st.text("abAB019-_/=.%@:", max_size=12).map("/{}".format),
    st.binary(max_size=9).map(lambda data: "/aa/" + base64.urlsafe_b64encode(data).decode()),
)
PATHS = st.tuples(OPTIONS, SOURCES, st.sampled_from(["", "@webp", ".png", "/plain/x", "?v=1"])).map("".join)


@given(st.lists(st.tuples(PATHS, st.booleans()), min_size=2, max_size=12), st.sampled_from([{}, PRESETS_ONLY]))
def test_what_was_checked_before_changes_no_verdict(paths: list[tuple[str, bool]], rules: dict[str, str]) -> None:
    settings = load_settings(None, KEYS | rules)
    check = UrlCheck(settings)
    for path, changed in paths * 2:
        url = SIGNER.sign(path.partition("?")[0]) + ("x" if changed else "") + "".join(path.partition("?")[1:])
        assert check.reason(url) == UrlCheck(settings).reason(url), url
