"""The `imgforge` command line: keys and encryption; each other command has a module of its own.

A command imports libraries when it runs, so that `imgforge --version` stays quick.
"""

from __future__ import annotations

import secrets

import click

from imgforge import __version__
from imgforge.cli.bench import bench
from imgforge.cli.cache import cache
from imgforge.cli.command_group import CommandGroup
from imgforge.cli.common import CONFIG, fail, settings_of, write_secret
from imgforge.cli.completion import completion
from imgforge.cli.config import config
from imgforge.cli.diagnose import doctor
from imgforge.cli.explain import explain
from imgforge.cli.health import health
from imgforge.cli.playground import playground
from imgforge.cli.process import process
from imgforge.cli.purge import purge
from imgforge.cli.render import render
from imgforge.cli.sign import sign
from imgforge.cli.top import top
from imgforge.cli.verify import verify
from imgforge.cli.warm import warm

__all__ = ["main"]

_KEY_BYTES = 32  # the output size of SHA-256, as RFC 2104, section 3, recommends


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imgforge")
def main() -> None:
    """Tools for the operator of imgforge; `twistd imgforge` starts the server itself."""


main.add_command(bench)
main.add_command(cache)
main.add_command(completion)
main.add_command(config)
main.add_command(doctor)
main.add_command(explain)
main.add_command(health)
main.add_command(process)
main.add_command(playground)
main.add_command(purge)
main.add_command(sign)
main.add_command(render)
main.add_command(top)
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
        fail(
            "IMGFORGE_SOURCE_URL_ENCRYPTION_KEY is not set: it is 16, 24 or 32 bytes as hexadecimal digits, as of "
            "`openssl rand -hex 32`"
        )
    path = build_path(url, cipher=SourceCipher(settings.source_url_encryption_key[0]))
    click.echo(path.removeprefix("/enc/"))
