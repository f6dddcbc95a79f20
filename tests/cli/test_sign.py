"""`imgforge sign`: single paths and sources, and batches in every format."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import Signer, build_path
from tests.cli.runner import Outcome, imgforge, imgforge_reading
from tests.support.process import ROOT

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}
SIGNER = Signer(bytes.fromhex("aa" * 32), bytes.fromhex("bb" * 32))
PATH = "/w:3/plain/http://x/a.jpg"


def sign(data: str | bytes, *arguments: str) -> Outcome:
    encoded = data if isinstance(data, bytes) else data.encode()
    return imgforge_reading(encoded, "sign", "--batch", "-", *arguments, **KEYS)


class SignCommandTests(SynchronousTestCase):
    def test_exactly_one_of_path_source_and_batch_is_taken(self) -> None:
        for arguments in ((), (PATH, "--source", "x"), (PATH, "--batch", "-"), (PATH, "--input-format", "csv")):
            self.assertEqual(imgforge("sign", *arguments, **KEYS).returncode, 2)
        self.assertEqual(imgforge("sign", "--batch", "-", "--options", "w:3", **KEYS).returncode, 2)
        self.assertEqual(imgforge("sign", "--batch", "/nowhere", **KEYS).returncode, 2)
        self.assertEqual(imgforge("sign", "--batch", ".", **KEYS).returncode, 1)

    def test_path_is_signed_without_the_options_of_urls(self) -> None:
        program = (
            "import sys\nfrom imgforge.cli import main\n"
            f"main(['sign', {PATH!r}], standalone_mode=False)\nprint(*sys.modules)"
        )
        environment = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        signed, imported = run.stdout.splitlines()
        self.assertEqual(signed, SIGNER.sign(PATH))
        unwanted = {"imgforge.urls.options", "imgforge.model.options", "cryptography", "twisted", "msgspec"}
        self.assertEqual(unwanted & set(imported.split()), set())

    def test_query_of_a_path_is_warned_of(self) -> None:
        result = imgforge("sign", PATH + "?v=2", **KEYS)
        self.assertEqual((result.returncode, result.stdout.strip()), (0, SIGNER.sign(PATH + "?v=2")))
        self.assertIn("write %3F", result.stderr)
        self.assertEqual(imgforge("sign", PATH, **KEYS).stderr, "")

    def test_what_the_server_would_refuse_is_warned_of_and_signed(self) -> None:
        for path, told in (
            ("/wdth:3/plain/http://x/a.jpg", "unknown option 'wdth'"),
            (SIGNER.sign(PATH), "neither an option with arguments nor a source"),
            ("/http://x/a.jpg", "unknown option 'http'"),
            ("/300x200/smart/http://x/a.jpg", "a source URL needs plain/"),
        ):
            result = imgforge("sign", path, **KEYS)
            self.assertEqual((result.returncode, result.stdout.strip()), (0, SIGNER.sign(path)))
            self.assertRegex(result.stderr, "^warning: a server with these settings refuses .*" + re.escape(told))
        bad = [SIGNER.sign(f"/w:{number}/plain/http://x/a.jpg") for number in range(30)]
        result = sign("\n".join([PATH, *bad, PATH]))
        self.assertEqual(result.stdout.splitlines(), [SIGNER.sign(path) for path in (PATH, *bad, PATH)])
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (0, 11))
        self.assertIn("refuses 30 of these paths", result.stderr)

    def test_usual_paths_are_warned_of_where_the_settings_have_them_written_in_other_ways(self) -> None:
        for variables, told in (
            ({"IMGFORGE_ARGUMENTS_SEPARATOR": ","}, "neither an option with arguments nor a source"),
            ({"IMGFORGE_ONLY_PRESETS": "true", "IMGFORGE_PRESETS": "a=w:3"}, "unknown preset"),
        ):
            for arguments in ((PATH,), ("--batch", "-")):
                result = imgforge_reading(PATH.encode(), "sign", *arguments, **KEYS, **variables)
                self.assertRegex(result.stderr, f"refuses .*{told}")
                self.assertEqual(result.stdout.strip(), SIGNER.sign(PATH))
                self.assertEqual(imgforge_reading(PATH.encode(), "sign", *arguments, **KEYS).stderr, "")

    def test_what_another_server_may_take_is_not_warned_of(self) -> None:
        for path, environment in (
            ("/pr:thumb/plain/http://x/a.jpg", {}),
            ("/blurhash:4:3/plain/http://x/a.jpg", {}),
            ("/enc/aHR0cA", {}),
            ("/msfs:5/plain/http://x/a.jpg", {}),
            ("/thumb:wide/plain/x", {"ONLY_PRESETS": "true", "PRESETS": "thumb=w:3,wide=h:3"}),
            ("/w-3/plain/x", {"ARGUMENTS_SEPARATOR": "-"}),
            ("/plain/own-scheme://a", {}),
        ):
            given = KEYS | {f"IMGFORGE_{name}": value for name, value in environment.items()}
            self.assertEqual(imgforge("sign", path, **given).stderr, "", path)

    def test_what_is_no_path_is_told(self) -> None:
        for arguments, told in (
            (("http://x/a.jpg",), "give that of an original as --source"),
            (("--source", ""), "--source is empty"),
        ):
            refused = imgforge("sign", *arguments, **KEYS)
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertIn(told, refused.stderr)
        warned = imgforge("sign", f"/unsafe{PATH}", **KEYS)
        self.assertEqual(warned.returncode, 0)
        self.assertIn("'unsafe' stands for a signature", warned.stderr)

    def test_keys_of_imgproxy_are_told_of(self) -> None:
        for command in ("sign", "verify"):
            refused = imgforge(command, PATH, IMGPROXY_KEY="aa", IMGPROXY_SALT="bb")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("rename the prefix IMGPROXY_", refused.stderr)

    def test_batch_without_keys_names_keygen(self) -> None:
        result = imgforge_reading(PATH.encode(), "sign", "--batch", "-")
        self.assertEqual((result.returncode, result.stdout, "keygen" in result.stderr), (1, "", True))

    def test_lines_are_signed_as_single_paths_are_and_keep_their_order(self) -> None:
        paths = [f"/w:{width}/plain/http://x/ü{width}.jpg" for width in range(1, 3000)]
        result = sign("\n".join(paths), "--base-url", "http://h/")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.splitlines(), ["http://h" + SIGNER.sign(path) for path in paths])
        single = imgforge("sign", paths[7], "--base-url", "http://h/", **KEYS).stdout
        self.assertEqual(result.stdout.splitlines()[7], single.strip())

    def test_bad_lines_are_reported_by_number_and_leave_empty_lines(self) -> None:
        bad = (
            b"http://x/a.jpg",
            b"/w:3/plain/a b",
            b"/\xff",
            b"/" + b"a" * 17000,
            b"x" * 70000,
            b"/plain/a?b",
            b"/a\0",
        )
        data = b"\r\n".join(line for one in bad for line in (PATH.encode(), one, b""))
        result = sign(data)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(
            result.stdout.splitlines(), [SIGNER.sign(PATH), "", ""] * (len(bad) - 1) + [SIGNER.sign(PATH), ""]
        )
        reported = result.stderr.splitlines()
        numbers = [int(line.removeprefix("imgforge: line ").partition(":")[0]) for line in reported[:-1]]
        self.assertEqual(numbers, [3 * index + 2 for index in range(len(bad))])
        self.assertEqual(reported[-1], f"imgforge: {len(bad)} of {3 * len(bad) - 1} lines could not be signed")

    def test_json_lines_keep_their_fields_and_bad_ones_become_errors(self) -> None:
        rows: list[object] = [
            {"id": 1, "source": "http://x/ü @.jpg"},
            {"id": 2, "source": "http://x/b.jpg", "options": "w:9", "format": "png", "tags": ["a", None]},
            {"id": 3, "path": PATH},
            {"id": 4, "source": 5},
            [1],
            {"id": 6, "source": "http://x/c.jpg", "format": "nonsense"},
            {"id": 7},
            {"id": 8, "source": "x", "path": PATH},
        ]
        result = sign("\n".join(map(json.dumps, rows)), "--input-format", "jsonl", "--options", "w:3", "-F", "webp")
        self.assertEqual(result.returncode, 1)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        urls = [
            SIGNER.sign(build_path("http://x/ü @.jpg", "w:3", "webp")),
            SIGNER.sign(build_path("http://x/b.jpg", "w:9", "png")),
            SIGNER.sign(PATH),
        ]
        self.assertEqual(
            found[:3], [{**row, "url": url} for row, url in zip(rows, urls, strict=False) if isinstance(row, dict)]
        )
        self.assertEqual([row.get("id") for row in found], [1, 2, 3, 4, None, 6, 7, 8])
        self.assertTrue(all("error" in row and "url" not in row for row in found[3:]))
        self.assertEqual(result.stderr.count("imgforge: line "), 5)

    def test_csv_keeps_its_columns_and_gets_one_more(self) -> None:
        data = '\ufeffid,source,format\r\n1,"http://x/a,b.jpg",webp\n2,http://x/c.jpg,\n3\n\n4,"no end\n5,a,b,c\n6,http://x/d.jpg\n'
        result = sign(data, "--input-format", "csv", "--options", "w:3")
        rows = list(csv.reader(io.StringIO(result.stdout)))
        first, second = (
            SIGNER.sign(build_path(f"http://x/{name}", "w:3", form))
            for name, form in (("a,b.jpg", "webp"), ("c.jpg", None))
        )
        self.assertEqual(
            rows[:3],
            [
                ["id", "source", "format", "url"],
                ["1", "http://x/a,b.jpg", "webp", first],
                ["2", "http://x/c.jpg", "", second],
            ],
        )
        self.assertEqual([row[-1] if row else None for row in rows[3:7]], ["", None, "", ""])
        self.assertEqual(rows[7], ["6", "http://x/d.jpg", "", SIGNER.sign(build_path("http://x/d.jpg", "w:3"))])
        self.assertEqual(result.returncode, 1)
        self.assertEqual(
            [line.split(":")[1] for line in result.stderr.splitlines()[:3]], [" line 4", " line 6", " line 7"]
        )

    def test_csv_without_a_needed_column_ends_at_once(self) -> None:
        for data in ("a,b\n1,2\n", '"source\nx\n', ""):
            result = sign(data, "--input-format", "csv")
            self.assertEqual((result.returncode, result.stdout), (1 if data else 0, ""))

    def test_the_extension_names_the_format(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name, data in (("a.csv", "source\nx\n"), ("a.ndjson", '{"source": "x"}'), ("a.txt", "/plain/x")):
                path = Path(directory, name)
                path.write_text(data)
                result = imgforge("sign", "--batch", str(path), **KEYS)
                self.assertEqual(
                    (result.returncode, SIGNER.sign("/plain/x") in result.stdout), (0, True), result.stderr
                )

    def test_a_program_may_write_one_line_and_wait_for_its_result(self) -> None:
        command = [sys.executable, "-c", "from imgforge.cli import main; main()", "sign", "--batch", "-"]
        environment = os.environ | KEYS | {"PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for path in ("/plain/a", "/plain/b"):
                process.stdin.write(path.encode() + b"\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline().decode().strip(), SIGNER.sign(path))
            process.stdin.close()
            self.assertEqual(process.wait(60), 0)

    def test_memory_does_not_grow_with_the_lines(self) -> None:
        program = (
            "import atexit; from pathlib import Path; from imgforge.cli import main; status = Path('/proc/self/status')"
        )
        program += "; atexit.register(lambda: print(status.read_text().partition('VmHWM:')[2].split()[0])); main()"
        command = [sys.executable, "-c", program, "sign", "--batch", "-"]
        peaks = []
        for count in (2_000, 100_000):
            data = f"{PATH}\n".encode() * count
            environment = os.environ | KEYS | {"PYTHONPATH": str(ROOT)}
            output = subprocess.run(command, input=data, capture_output=True, env=environment, check=True).stdout
            self.assertEqual(output.count(b"\n"), count + 1)
            peaks.append(int(output.split()[-1]))  # KiB
        self.assertLess(peaks[1] - peaks[0], 2000)

    def test_a_reader_that_leaves_ends_it_without_a_traceback(self) -> None:
        program = f"{sys.executable} -c 'from imgforge.cli import main; main()' sign --batch - | head -1"
        environment = os.environ | KEYS | {"PYTHONPATH": str(ROOT)}
        data = f"{PATH}\n".encode() * 100_000
        ended = subprocess.run(["sh", "-c", program], input=data, capture_output=True, env=environment, check=True)
        self.assertEqual((ended.stdout.decode().strip(), ended.stderr), (SIGNER.sign(PATH), b""))


TOKENS = st.sampled_from(
    [
        b"\n",
        b"\r",
        b'"',
        b",",
        b"{",
        b"}",
        b'"source"',
        b'"path"',
        b"source",
        b":",
        b"\\ud800",
        b"\\u0000",
        b"[",
        b"1e999",
        b"\xff",
        b"/plain/x",
    ]
)
ANYTHING = st.one_of(st.binary(max_size=300), st.lists(TOKENS, max_size=40).map(b"".join))


@settings(max_examples=60)
@given(ANYTHING, st.sampled_from(["lines", "csv", "jsonl"]), st.sampled_from(["sign", "verify"]))
def test_any_bytes_give_a_result_for_each_line_and_no_traceback(data: bytes, form: str, command: str) -> None:
    if form == "csv":
        data = b"source,url\n" + data
    result = imgforge_reading(data, command, "--batch", "-", "--input-format", form, **KEYS)
    assert result.returncode in {0, 1}
    if form != "csv":
        assert result.stdout.count("\n") == len(data.split(b"\n")) - data.endswith(b"\n") - (not data)


def test_deeply_nested_json_is_a_bad_line() -> None:
    for nested in ("[" * 30_000, '{"source":' * 6_000, '{"a":' + "9" * 30_000 + "}", '{"source": "\\ud800"}'):
        result = sign(f'{nested}\n{{"source": "x"}}', "--input-format", "jsonl")
        assert result.returncode == 1
        assert SIGNER.sign("/plain/x") in result.stdout.splitlines()[1]
