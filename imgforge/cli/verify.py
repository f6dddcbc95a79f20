"""`imgforge verify`: checks the signature of a URL under this server's settings, and diagnoses a wrong one."""

from __future__ import annotations

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
from imgforge.cli.common import CONFIG, fail, fail_without_keys, settings_of

if TYPE_CHECKING:
    from imgforge.cli.batch import Fields, Results
    from imgforge.config import Settings

__all__ = ["verify"]


@click.command(short_help="Check the signature of a URL, or of a batch, and diagnose a wrong one.")
@click.argument("url", required=False)
@click.option(
    "--batch", type=click.Path(exists=True, allow_dash=True), help="Check every line of a file; - reads them."
)
@INPUT_FORMAT
@click.option("--json", "as_json", is_flag=True, help="With --batch of lines: write JSON lines in place of text.")
@CONFIG
def verify(
    url: str | None, batch: str | None, input_format: str | None, as_json: bool, config_path: str | None
) -> None:
    """Check the signature of URL, a full URL or its path: exit status 0 if it is good, 1 if not.

    For a wrong signature, the usual mistakes of signing programs are tried, and each one that explains it is printed.

    With --batch, each line of a file is such a URL; or a row of CSV, or a JSON object, that has it as url or path. For
    each line, in the same order, the output says whether it is valid, and if not, why: as text with tabs between, or
    by the fields valid and reason of the CSV or JSON. The exit status is 1 if any is invalid.
    """
    if (url is None) == (batch is None):
        raise click.UsageError("give either URL or --batch")
    if batch is None and (input_format or as_json):
        raise click.UsageError("--input-format and --json need --batch")
    settings = settings_of(config_path)
    if not settings.key:
        fail_without_keys("a signature cannot be checked without them")
    if url is not None:
        _verify_one(url, settings)
    elif batch is not None:
        _verify_batch(batch, format_of(batch, input_format), settings, as_json=as_json)


def _verify_one(url: str, settings: Settings) -> None:
    from imgforge.cli.url_check import Refused, UrlCheck
    from imgforge.errors import BadSignature, ImgforgeError
    from imgforge.urls import SignedUrl, signature_mistakes, signing_pair

    pairs = tuple(zip(settings.key, settings.salt, strict=True))
    try:
        signed = UrlCheck(settings).check(url)
    except BadSignature as error:
        mistakes = signature_mistakes(SignedUrl.parse(url, settings.path_prefix), pairs, settings.signature_size)
        fail(
            str(error),
            *(
                mistakes
                or ("none of the usual mistakes explains it: check that it was signed with this server's key and salt",)
            ),
        )
    except (ImgforgeError, Refused, ValueError) as error:
        fail(str(error))
    pair_number = signing_pair(signed, pairs, settings.signature_size)
    click.echo(
        "the signature is good" + (f" (key {pair_number} of {len(pairs)})" if pair_number and len(pairs) > 1 else "")
    )


def _verify_batch(path: str, form: str, settings: Settings, *, as_json: bool) -> None:
    from imgforge.cli.url_check import UrlCheck

    if as_json and form == "csv":
        raise click.UsageError("--json is for lines: CSV stays CSV")
    reason_of = UrlCheck(settings).reason
    invalid = 0

    def check(fields: Fields) -> Results:
        nonlocal invalid
        url = text(fields, "url") or text(fields, "path")
        if not url:
            raise BadLine("it has neither a url nor a path")
        reason = reason_of(url)
        if not reason:
            return {"valid": True}
        invalid += 1
        return {"valid": False, "reason": reason}

    formats: dict[str, Callable[[], BatchFormat]] = {
        "lines": lambda: TextLines("url", _line_of),
        "csv": lambda: CsvLines(("url", "path"), ("valid", "reason")),
        "jsonl": JsonLines,
        "lines as json": _TextToJson,
    }
    chosen = "lines as json" if as_json and form == "lines" else form
    run = Batch(formats[chosen](), check, lambda message: {"valid": False, "reason": message})
    run.run(path, sys.stdout.buffer, "checked")
    raise SystemExit(1 if invalid or run.bad else 0)


def _line_of(fields: Fields, results: Results) -> str:
    if results["valid"]:
        return f"valid\t{fields['url']}"
    return f"invalid\t{fields.get('url', '')}\t{results['reason']}"


class _TextToJson(JsonLines):
    """Each line is one URL, and becomes a JSON object."""

    def decode(self, line: bytes) -> Fields:
        """See `BatchFormat`."""
        return TextLines("url", _line_of).decode(line)
