"""One run of `imgforge process`: the options are parsed once, then threads process the files."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from imgforge.cli.common import SIGNALLED, Progress, escaped, fail
from imgforge.cli.offline.file_table import FileTable
from imgforge.cli.offline.file_threads import FileProcessor, ProcessingThreads
from imgforge.cli.offline.input_files import InputFile, find_inputs
from imgforge.cli.offline.output_names import OutputNames
from imgforge.cli.progress import ProgressBar

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["ProcessOptions", "run_processing"]

_STANDARD = "-"


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """The arguments of the command."""

    options: str
    inputs: Sequence[str]
    output: str
    jobs: int = 0  # threads, 0 for one per usable CPU
    accept: str = ""
    force: bool = False
    skip_existing: bool = False


def run_processing(arguments: ProcessOptions, settings: Settings) -> int:
    """Runs the command and returns its exit status; ends the program where it cannot begin."""
    from imgforge.errors import BadOption, BadPath, ImgforgeError, OptionForbidden
    from imgforge.service import OfflineRenderer, usable_cpus
    from imgforge.urls import FORMATS

    endings = [name for name in FORMATS if name != "best"]  # that is whichever of the others suits the image
    several = len(arguments.inputs) > 1 or not _is_one_file(arguments.inputs[0])
    to_standard_output = arguments.output == _STANDARD
    if several and (to_standard_output or _STANDARD in arguments.inputs):
        raise click.UsageError("- is for one file: IN is standard input, OUT standard output")
    if not arguments.output:
        raise click.UsageError("OUT is empty: it is a file, a directory, or - for standard output")
    try:
        names = OutputNames(arguments.output, several=several)
        if names.extension and names.extension not in endings:
            raise ValueError(f"OUT ends with .{names.extension}, and the formats are {', '.join(endings)}, or {{ext}}")
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        renderer = OfflineRenderer(settings, arguments.options, extension=names.extension, accept=arguments.accept)
    except (BadOption, BadPath, OptionForbidden) as error:
        raise click.UsageError(error.message) from None
    except ImgforgeError as error:
        fail(error.logged)
    files = _listed(arguments.inputs, {*endings, *_CAMERAS}, names.directory)
    processor = FileProcessor(
        renderer,
        names,
        files,
        force=arguments.force or to_standard_output,
        skip_existing=arguments.skip_existing,
        timeout=settings.timeout,
    )
    if to_standard_output:
        processor.write = _to_standard_output
    threads = ProcessingThreads(processor, files, min(files.count, arguments.jobs or usable_cpus()))
    with ProgressBar("processing", files.count) as progress:
        signal = threads.run(lambda tally: progress.update(tally.ended, tally.text(files.count)), _report_failure)
    if not to_standard_output:
        click.echo(json.dumps(threads.tally.report() | {"interrupted": bool(signal)}))
    if signal:
        left = files.count - threads.tally.ended
        click.echo(f"imgforge: {left} of {files.count} files are left: --skip-existing goes on with them", err=True)
        return SIGNALLED + signal
    return 1 if threads.tally.failed else 0


# Files of cameras have many endings; the other formats have those that URLs know.
_CAMERAS = frozenset({"arw", "cr2", "cr3", "dng", "nef", "orf", "pef", "raf", "rw2", "pdf", "svgz"})


def _is_one_file(argument: str) -> bool:
    return argument == _STANDARD or (os.path.lexists(argument) and not os.path.isdir(argument))


def _listed(arguments: Sequence[str], extensions: set[str], left_out: str) -> FileTable:
    """The files of *arguments*; all are found before the first is processed, so that no result is taken for one."""
    files = FileTable()
    progress = Progress()
    try:
        for file in (
            [InputFile(_STANDARD)] if arguments[0] == _STANDARD else find_inputs(arguments, extensions, left_out)
        ):
            files.add(file)
            progress.update(f"listing: {files.count} files")
    except FileNotFoundError as error:
        fail(f"{str(error) or repr('')}: there is no such file, or no image in it")
    except sqlite3.Error as error:
        fail(f"the list of files cannot be kept on disk ({error}): TMPDIR names another directory for it")
    finally:
        progress.done()
    return files


def _report_failure(path: str, why: str) -> None:
    line = escaped(f"{path}: {why}")  # whoever named the file does not move the cursor
    click.echo(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, err=True)


def _to_standard_output(_path: str, body: bytes) -> None:
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
