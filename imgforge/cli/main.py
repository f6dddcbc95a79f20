"""The `imgforge` command line: keys, encryption and configuration; each other command has a module of its own.

A command imports libraries when it runs, so that `imgforge --version` stays quick.
"""

from __future__ import annotations

import json
import secrets

import click

from imgforge import __version__
from imgforge.cli.cache import cache
from imgforge.cli.common import CONFIG, checked_settings, fail, settings_of, write_secret
from imgforge.cli.health import health
from imgforge.cli.purge import purge
from imgforge.cli.render import render
from imgforge.cli.sign import sign
from imgforge.cli.verify import verify
from imgforge.cli.warm import warm

__all__ = ["main"]

_KEY_BYTES = 32  # the output size of SHA-256, as RFC 2104, section 3, recommends


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imgforge")
def main() -> None:
    """Tools for the operator of imgforge; `twistd imgforge` starts the server itself."""


main.add_command(cache)
main.add_command(health)
main.add_command(purge)
main.add_command(sign)
main.add_command(render)
main.add_command(verify)
main.add_command(warm)


@main.command(short_help="Generate a random key and salt.")
@click.option("--file", "-f", "path", type=click.Path(), help="Write them to a new file that only its owner can read.")
@click.option("--force", is_flag=True, help="Replace an existing file; URLs signed with the old key are then refused.")
def keygen(path: str | None, force: bool) -> None:
    """Generate a random key and salt of 32 bytes each, as lines for an environment file."""
    lines = "".join(f"IMGFORGE_{name}={secrets.token_hex(_KEY_BYTES)}\n" for name in ("KEY", "SALT"))
    if path is None:
        click.echo(lines, nl=False)
        return
    try:
        write_secret(path, lines, replace=force)
    except FileExistsError:
        fail(f"{path} exists: --force replaces it, and URLs signed with its key are then refused")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")


@main.command()
@click.argument("url")
@CONFIG
def encrypt(url: str, config_path: str | None) -> None:
    """Encrypt a source URL; the output follows enc/ in a path."""
    from imgforge.urls import SourceCipher, build_path

    settings = settings_of(config_path)
    if not settings.source_url_encryption_key:
        fail("IMGFORGE_SOURCE_URL_ENCRYPTION_KEY is not set")
    path = build_path(url, cipher=SourceCipher(settings.source_url_encryption_key[0]))
    click.echo(path.removeprefix("/enc/"))


@main.group(invoke_without_command=True)
@click.option("--schema", is_flag=True, help="Print the JSON schema of a configuration file.")
@click.pass_context
def config(context: click.Context, schema: bool) -> None:
    """Check or show the configuration; without a command, show it."""
    from imgforge.config import json_schema

    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
    elif context.invoked_subcommand is None:
        context.invoke(show)


@config.command(short_help="Check the configuration.")
@CONFIG
def check(config_path: str | None) -> None:
    """Check the configuration: one line for each mistake, and exit status 1 if there are any."""
    from imgforge.service import all_plugins

    for line in (*checked_settings(config_path).warnings(), *all_plugins().warnings):
        click.echo(f"warning: {line}", err=True)
    click.echo("the configuration is good")


@config.command()
@CONFIG
def show(config_path: str | None = None) -> None:
    """Print the effective settings as JSON, with secrets masked."""
    click.echo(json.dumps(checked_settings(config_path).masked(), indent=2))


@config.command(short_help="Print every setting, its default and description.")
def reference() -> None:
    """Print every setting with its default and description, as Markdown."""
    from imgforge.config import markdown_reference

    click.echo(markdown_reference())


@config.command()
@click.option("--unit", is_flag=True, help="Print the systemd unit for this installation instead.")
def example(unit: bool) -> None:
    """Print a TOML file with every setting and its default."""
    from imgforge.cli.examples import configuration_example, unit_example

    click.echo(unit_example() if unit else configuration_example(), nl=False)
