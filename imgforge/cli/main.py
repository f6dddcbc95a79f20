"""The `imgforge` command line: keys, signatures, configuration, health; the other commands have modules of their own.

What a command needs is imported when it runs, so that `imgforge --version` stays quick.
"""

from __future__ import annotations

import json
import secrets
import sys

import click

from imgforge import __version__
from imgforge.cli.cache import cache
from imgforge.cli.common import CONFIG, checked_settings, fail, settings_of, write_secret
from imgforge.cli.purge import purge
from imgforge.cli.verify import verify

__all__ = ["main"]

_KEY_BYTES = 32


def _key_pair(config_path: str | None) -> tuple[bytes, bytes, int]:
    settings = settings_of(config_path)
    if not settings.key:
        fail("IMGFORGE_KEY and IMGFORGE_SALT are not set: `imgforge keygen` makes them")
    return settings.key[0], settings.salt[0], settings.signature_size


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imgforge")
def main() -> None:
    """Tools beside `twistd imgforge`, which is the server itself."""


main.add_command(cache)
main.add_command(purge)
main.add_command(verify)


@main.command()
@click.option("--file", "-f", "path", type=click.Path(), help="Write them to this file, which only its owner can read.")
@click.option("--force", is_flag=True, help="Replace a file that exists: what the old key signed is then refused.")
def keygen(path: str | None, force: bool) -> None:
    """Make a key and a salt, as lines for an environment file."""
    lines = "".join(f"IMGFORGE_{name}={secrets.token_hex(_KEY_BYTES)}\n" for name in ("KEY", "SALT"))
    if path is None:
        click.echo(lines, nl=False)
        return
    try:
        write_secret(path, lines, replace=force)
    except FileExistsError:
        fail(f"{path} exists: --force replaces it, and what its key signed is refused then")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")


@main.command(short_help="Sign a path, or that of a source and its options.")
@click.argument("path", required=False)
@click.option("--source", help="URL of the original, instead of a whole path.")
@click.option("--options", default="", help="Processing options, such as rs:fill:300:200/q:80.")
@click.option("--format", "-F", "format_name", help="Format of the result.")
@click.option("--base-url", "-B", default="", help="Put in front of the signed path.")
@CONFIG
def sign(
    path: str | None, source: str | None, options: str, format_name: str | None, base_url: str, config_path: str | None
) -> None:
    """Sign PATH (from the slash before the options on), or the path for --source and --options."""
    from imgforge.urls import Signer, build_path

    if (path is None) == (source is None):
        raise click.UsageError("give either PATH or --source")
    key, salt, size = _key_pair(config_path)
    path = path if path is not None else build_path(source or "", options, format_name)
    if not path.startswith("/"):
        path = "/" + path
    click.echo(base_url.rstrip("/") + Signer(key, salt, size).sign(path))


@main.command()
@click.argument("url")
@CONFIG
def encrypt(url: str, config_path: str | None) -> None:
    """Encrypt a source URL, as it stands behind enc/ in a path."""
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
    """Check and show the configuration."""
    from imgforge.config import json_schema

    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
    elif context.invoked_subcommand is None:
        context.invoke(show)


@config.command(short_help="Say what is wrong with the configuration.")
@CONFIG
def check(config_path: str | None) -> None:
    """Say what is wrong with the configuration, one line for each mistake; exit status 1 if anything is."""
    from imgforge.sources import find_plugins

    for line in (*checked_settings(config_path).warnings(), *find_plugins().warnings):
        click.echo(f"warning: {line}", err=True)
    click.echo("the configuration is good")


@config.command()
@CONFIG
def show(config_path: str | None = None) -> None:
    """Print the effective values as JSON, secrets masked."""
    click.echo(json.dumps(checked_settings(config_path).masked(), indent=2))


@config.command()
def reference() -> None:
    """Print all settings, with their defaults and what they mean."""
    from imgforge.config import markdown_reference

    click.echo(markdown_reference())


@config.command()
@click.option("--unit", is_flag=True, help="Print the systemd unit instead, for this installation.")
def example(unit: bool) -> None:
    """Print a configuration file with every setting and its default."""
    from imgforge.cli.examples import configuration_example, unit_example

    click.echo(unit_example() if unit else configuration_example(), nl=False)


@main.command(short_help="Ask the running server whether it takes work.")
@click.option("--url", help="The server's address; without it the configured one.")
@CONFIG
def health(url: str | None, config_path: str | None) -> None:
    """Ask the running server for /health: exit status 0 if it takes work."""
    from imgforge.cli.health import NoAnswer, ask

    try:
        status, line = ask(url or settings_of(config_path).listeners)
    except NoAnswer as error:
        fail(str(error))
    click.echo(line)
    sys.exit(0 if status == 200 else 1)
