"""`imgforge process`: makes images of files as the server would, without a server."""

from __future__ import annotations

import click

from imgforge.cli.common import CONFIG, checked_settings

__all__ = ["process"]


@click.command(short_help="Process files without a server.")
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), help="Files at once; by default one for each CPU.")
@click.option("--accept", default="", help="Accept header of the visitors, where formats are negotiated.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option("--skip-existing", is_flag=True, help="Leave existing files alone, without a failure.")
@click.argument("options")
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.argument("out", type=click.Path(allow_dash=True))
@CONFIG
def process(
    jobs: int | None,
    accept: str,
    force: bool,
    skip_existing: bool,
    options: str,
    inputs: tuple[str, ...],
    out: str,
    config_path: str | None,
) -> None:
    """Process the files IN... under OPTIONS, written as in a URL (rs:fill:300:200/q:80), and write the results to OUT.

    Settings, presets, limits and pixels are those of the server. IN is a file, a directory, a pattern such as
    'photos/**/*.jpg', or - for standard input; of a directory, all images below it. OUT is a file, a directory, - for
    standard output, or a pattern with {name}, {dir} (below IN), {ext} (of the result's format), {width} and {height}:
    'small/{dir}/{name}-300.webp'. Its extension names the format, as in a URL; with {ext} the options do. OPTIONS may
    be empty: ''.

    A file that fails is one line on standard error, and the exit status is then 1. Prints a JSON report.
    """
    from imgforge.cli.offline import ProcessOptions, run_processing

    if force and skip_existing:
        raise click.UsageError("give either --force or --skip-existing")
    arguments = ProcessOptions(options, inputs, out, jobs or 0, accept, force, skip_existing)
    raise SystemExit(run_processing(arguments, checked_settings(config_path)))
