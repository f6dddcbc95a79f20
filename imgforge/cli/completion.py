"""`imgforge completion`: what a shell reads to complete the command's arguments."""

from __future__ import annotations

import click

__all__ = ["completion"]

_VARIABLE = "_IMGFORGE_COMPLETE"  # by which the shell asks; click derives it from the name of the program


@click.command(short_help="Print what a shell needs to complete arguments.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands, options and files of imgforge.

    \b
    bash:  source <(imgforge completion bash)      in ~/.bashrc
    zsh:   source <(imgforge completion zsh)       in ~/.zshrc
    fish:  imgforge completion fish > ~/.config/fish/completions/imgforge.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:  # a click without that shell
        raise click.UsageError(f"this installation cannot complete for {shell}")
    command = context.find_root().command
    click.echo(kind(command, {}, "imgforge", _VARIABLE).source())
