"""The signing examples of docs/usage.md, in each language, against the server's parser."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from imgforge.errors import BadSignature
from imgforge.urls import UrlParser, UrlSettings

USAGE = Path(__file__).parents[2] / "docs" / "usage.md"
# Bytes that are not UTF-8, so that a key used as hexadecimal text or as UTF-8 gives another signature.
KEY, SALT = "00ff10e2", "80c3a9fe"
PATHS = ("/rs:fit:300:200/plain/local:///a%20b.jpg@webp", *(f"/w:{width}/plain/http://x/a.png" for width in range(40)))


def python(code: str) -> tuple[str, str, list[str]]:
    return (
        "sign.py",
        f"import sys\n{code}\nfor path in sys.argv[3:]: print(signed(path, *sys.argv[1:3]))\n",
        [sys.executable],
    )


def javascript(code: str) -> tuple[str, str, list[str]]:
    main = (
        "const [key, salt, ...paths] = process.argv.slice(2);\n"
        "for (const path of paths) console.log(signed(path, key, salt));"
    )
    return "sign.mjs", f"{code}\n{main}\n", ["node"]


def php(code: str) -> tuple[str, str, list[str]]:
    main = 'foreach (array_slice($argv, 3) as $path) echo signed($path, $argv[1], $argv[2]), "\\n";'
    return "sign.php", f"<?php\n{code}\n{main}\n", ["php"]


def go(code: str) -> tuple[str, str, list[str]]:
    imports = code.replace("import (", 'import (\n\t"fmt"\n\t"os"', 1)
    main = (
        "func main() {\n\tfor _, path := range os.Args[3:] {\n\t\turl, err := signed(path, os.Args[1], os.Args[2])\n"
        "\t\tif err != nil {\n\t\t\tpanic(err)\n\t\t}\n\t\tfmt.Println(url)\n\t}\n}"
    )
    return "sign.go", f"package main\n\n{imports}\n{main}\n", ["go", "run"]


LANGUAGES: dict[str, Callable[[str], tuple[str, str, list[str]]]] = {
    "python": python,
    "javascript": javascript,
    "php": php,
    "go": go,
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_signatures_of_the_examples_are_valid(language: str, tmp_path: Path) -> None:
    (code,) = re.findall(rf"```{language}\n(.*?)```", USAGE.read_text("utf-8"), re.DOTALL)
    name, program, command = LANGUAGES[language](code)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: the {language} of docs/usage.md was not tried")
    (tmp_path / name).write_text(program, "utf-8")
    done = subprocess.run(
        [*command, str(tmp_path / name), KEY, SALT, *PATHS], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    parser = UrlParser(UrlSettings(keys=((bytes.fromhex(KEY), bytes.fromhex(SALT)),)))
    signed = done.stdout.splitlines()
    assert [one[one.index("/", 1) :] for one in signed] == list(PATHS)
    for one in signed:
        parser.parse(one.encode())
        with pytest.raises(BadSignature):
            parser.parse(f"{one}x".encode())
