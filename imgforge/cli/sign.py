"""`imgforge sign`: signs one path or source, or a batch of them as a stream."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from imgforge.cli.batch import (
    INPUT_FORMAT,
    BadLine,
    Batch,
    BatchFormat,
    CsvLines,
    JsonLines,
    TextLines,
    format_of,
    text,
)
from imgforge.cli.common import CONFIG, fail, settings_of, signer_of

if TYPE_CHECKING:
    from imgforge.cli.batch import Fields, Results
    from imgforge.config import Settings
    from imgforge.urls import Signer

__all__ = ["sign"]

_LONGEST = 16384  # bytes of a path that the server takes
# What no client sends as it stands: it would percent-encode it, end the path there, or refuse it.
_UNSENT = re.compile(r"[\x00-\x20\x7f?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Single paths that need no check, which imports the options of URLs: this saves a third of the CPU time (30 ms of 91).
# A batch checks all its lines: there it would save 31 % where all are such paths, and cost 9 % where none is.
_USUAL = re.compile(
    r"(?:/(?:rs:(?:fit|fill|auto|force):\d{1,4}:\d{1,4}|[wh]:\d{1,4}|q:[1-9]\d?|g:(?:ce|sm|no|so|ea|we)))*"
    r"/plain/[a-z0-9]+:///?[A-Za-z0-9/._~-]+(?:@(?:jpg|png|webp|avif))?"
)
_UNSIGNED = ("/insecure/", "/unsafe/")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@click.command(short_help="Sign a path, a source URL with options, or a batch of them.")
@click.argument("path", required=False)
@click.option("--source", help="URL of the original, in place of PATH.")
@click.option("--batch", type=click.Path(exists=True, allow_dash=True), help="Sign every line of a file; - reads them.")
@INPUT_FORMAT
@click.option("--options", default="", help="Processing options for sources, such as rs:fill:300:200/q:80.")
@click.option("--format", "-F", "format_name", help="Image format of the results for sources, such as webp.")
@click.option("--base-url", "-B", default="", help="URL of the server, put in front of the signed path.")
@CONFIG
def sign(
    path: str | None,
    source: str | None,
    batch: str | None,
    input_format: str | None,
    options: str,
    format_name: str | None,
    base_url: str,
    config_path: str | None,
) -> None:
    """Sign PATH, which begins with the slash before the options, or the path for --source and --options.

    With --batch, each line of a file is a path; or a row of CSV, or a JSON object, with a path, or with source and, if
    they differ from --options and --format, options and format. Results come in the same order and format, with the
    URL added as url. Lines that cannot be signed are reported by their numbers, and the exit status is 1.
    """
    if (path is not None) + (source is not None) + (batch is not None) != 1:
        raise click.UsageError("give either PATH or --source, or --batch")
    if input_format and batch is None:
        raise click.UsageError("--input-format needs --batch")
    settings = settings_of(config_path)
    signer = signer_of(settings)
    base = base_url.rstrip("/")
    if batch is None:
        signed_path = _path(path, source, options, format_name)
        if "?" in signed_path:
            click.echo("warning: the server ignores what follows ?, so the URL gets 403: write %3F for it", err=True)
        if not signed_path.startswith(_UNSIGNED) and not _is_usual(signed_path, settings):
            from imgforge.cli.path_warning import PathWarning

            PathWarning(settings).check(signed_path)
        click.echo(base + signer.sign(signed_path))
        return
    form = format_of(batch, input_format)
    if form == "lines" and (options or format_name):
        raise click.UsageError("--options and --format are for sources, which are given as CSV or JSON lines")
    from imgforge.cli.path_warning import PathWarning

    warning = PathWarning(settings)
    run = Batch(_FORMATS[form](), _signing(signer, base, options, format_name or "", warning.check), _REFUSED[form])
    number = run.run(batch, sys.stdout.buffer, "signed")
    warning.finish()
    if run.bad:
        fail(f"{run.bad} of {number} lines could not be signed")


def _is_usual(path: str, settings: Settings) -> bool:
    """Whether *path* needs no check: it is good for servers that have options written as usual."""
    as_usual = settings.arguments_separator == ":" and not settings.only_presets
    return as_usual and _USUAL.fullmatch(path) is not None


def _path(path: str | None, source: str | None, options: str, format_name: str | None) -> str:
    if path is None:
        from imgforge.urls import build_path

        if not source:
            fail("--source is empty: it is the URL of an original")
        path = build_path(source, options, format_name)
    if _URL.match(path):
        fail(
            "PATH is a URL: give that of an original as --source, and of a URL of the server what follows its signature"
        )
    path = path if path.startswith("/") else f"/{path}"
    if path.startswith(_UNSIGNED):
        word = path.split("/")[1]
        click.echo(f"warning: {word!r} stands for a signature: give the path from the slash behind it", err=True)
    return path


_FORMATS: dict[str, Callable[[], BatchFormat]] = {
    "lines": lambda: TextLines("path", lambda _, results: results["url"]),
    "csv": lambda: CsvLines(("path", "source"), ("url",)),
    "jsonl": JsonLines,
}
_REFUSED: dict[str, Callable[[str], Results | None]] = {
    "lines": lambda _: None,
    "csv": lambda _: {"url": ""},
    "jsonl": lambda message: {"error": message},
}


def _signing(
    signer: Signer, base: str, options: str, format_name: str, check: Callable[[str], None]
) -> Callable[[Fields], Results]:
    """Returns what signs one record; *options* and *format_name* count where the record has none of its own.

    *check* warns of a path that is bad.
    """
    from imgforge.urls import FORMATS, build_path

    sign_path = signer.sign

    def signed(fields: Fields) -> Results:
        path, source = text(fields, "path"), text(fields, "source")
        if source:
            if path:
                raise BadLine("it has both a path and a source")
            if _CONTROL.search(source):
                raise BadLine("the source has a control character")
            form = text(fields, "format") or format_name
            if form and form not in FORMATS:
                raise BadLine(f"unknown format {form[:60]!r}")
            path = build_path(source, text(fields, "options") or options, form or None)
        elif not path:
            raise BadLine("it has neither a path nor a source")
        elif path[0] != "/":
            if _URL.match(path):
                raise BadLine("it is a URL, not a path: give sources as CSV or JSON lines")
            path = f"/{path}"
        unsent = _UNSENT.search(path)
        if unsent:
            raise BadLine(f"the path has {unsent[0]!r}, which must be percent-encoded")
        url = sign_path(path)
        if len(url) > _LONGEST or (not url.isascii() and len(url.encode()) > _LONGEST):
            raise BadLine(f"the path is longer than {_LONGEST} bytes")
        check(path)
        return {"url": base + url}

    return signed
