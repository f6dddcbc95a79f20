"""`imgforge config`: checks, shows and documents the configuration."""

from __future__ import annotations

import json
from difflib import get_close_matches

import click

from imgforge.cli.common import CONFIG, checked_settings, fail

__all__ = ["config"]

_LONGEST_NAME = 60  # characters; those of settings are shorter


def _matching_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:  # noqa: ARG001
    """The names of settings that begin as *typed*, in the form in which it begins."""
    from imgforge.config import Settings

    names = (form for name in Settings.fields for form in (name, f"IMGFORGE_{name.upper()}"))
    return [name for name in names if name.startswith(typed) and (typed or name.islower())]


@click.group(invoke_without_command=True, short_help="Check, show or document the configuration.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of a configuration file.")
@click.pass_context
def config(context: click.Context, schema: bool) -> None:
    """Check, show or document the configuration; without a command, show it."""
    from imgforge.config import json_schema

    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
    elif context.invoked_subcommand is None:
        context.invoke(show)


@config.command(short_help="Check the configuration.")
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@CONFIG
def check(strict: bool, config_path: str | None) -> None:
    """Check the configuration: one line for each mistake, and exit status 1 if there are any.

    A line for each risk follows where there is no mistake.
    """
    from imgforge.processing import capabilities
    from imgforge.service import all_plugins, unwritten_formats

    settings = checked_settings(config_path)
    warnings = (*settings.warnings(), *all_plugins().warnings, *unwritten_formats(settings, capabilities()))
    for line in warnings:
        click.echo(f"warning: {line}", err=True)
    if strict and warnings:
        raise SystemExit(1)
    click.echo("the configuration is good")


@config.command(short_help="Print the effective settings as JSON, with secrets masked.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=_matching_names)
@click.option("--where", is_flag=True, help="Tell of each setting where it was set.")
@click.option("--changed", is_flag=True, help="Only the settings whose values are not the defaults' own.")
@CONFIG
def show(
    names: tuple[str, ...] = (), where: bool = False, changed: bool = False, config_path: str | None = None
) -> None:
    """Print the effective settings, or those of the NAMEs, as JSON, with secrets masked.

    NAME is quality or IMGFORGE_QUALITY.

    With --where each is {"value": ..., "where": "in the environment"}: on the command line, in the environment, in the
    file, or default; an older name by which it was set is told too.
    """
    settings = checked_settings(config_path)
    values = settings.masked()
    if names:
        wanted = [name.lower().removeprefix("imgforge_") for name in names]
        for name in wanted:
            if name not in values:
                near = get_close_matches(name[:_LONGEST_NAME], values, 1)
                fail(f"{name[:_LONGEST_NAME]} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
        values = {name: values[name] for name in wanted}
    if changed:
        values = {name: value for name, value in values.items() if settings.origin(name) != "default"}
    if where:
        values = {name: {"value": value, "where": settings.origin(name)} for name, value in values.items()}
    click.echo(json.dumps(values, indent=2))


@config.command(short_help="Print every setting, its default and description.")
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
def reference(form: str) -> None:
    """Print every setting with its default and description, as Markdown or JSON."""
    from imgforge.config import json_reference, markdown_reference

    click.echo(markdown_reference() if form == "markdown" else json.dumps(json_reference(), indent=2))


@config.command()
@click.option("--unit", is_flag=True, help="Print the systemd unit for this installation instead.")
def example(unit: bool) -> None:
    """Print a TOML file with every setting and its default."""
    from imgforge.cli.examples import configuration_example, unit_example

    click.echo(unit_example() if unit else configuration_example(), nl=False)
