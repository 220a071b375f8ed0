# SPDX-License-Identifier: Apache-2.0
"""`tally completion`: the script by which a shell completes verbs, options and paths."""

from __future__ import annotations

import click

_EPILOG = """\
\b
Examples
  echo 'eval "$(tally completion bash)"' >> ~/.bashrc
  echo 'eval "$(tally completion zsh)"' >> ~/.zshrc     (below compinit)
  tally completion fish > ~/.config/fish/completions/tally.fish

\b
Exit codes: 0 printed, 2 usage.
"""


@click.command("completion", short_help="Print the completion script of a shell.", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from tallystick.cli.arguments import COMPLETE_VARIABLE

    writer = get_completion_class(shell)
    assert writer is not None
    click.echo(writer(context.find_root().command, {}, "tally", COMPLETE_VARIABLE).source())
