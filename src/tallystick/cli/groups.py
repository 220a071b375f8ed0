# SPDX-License-Identifier: Apache-2.0
"""Groups of verbs, and groups within them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import click


class VerbGroup(click.Group):
    """A group whose verbs tell faults of usage as their own, however deep they stand."""

    group_class = type  # groups within are of the same kind

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Ask for a verb where there is none, in one line: the help is for who asks for it."""
        if not args and not self.invoke_without_command:
            raise click.UsageError(f"give a command: {', '.join(self.list_commands(ctx))}.", ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; one that is mistyped is told with those that it resembles."""
        verbs = self.list_commands(ctx)
        if args[0] not in verbs and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = " or ".join(f"'{one}'" for one in get_close_matches(args[0], verbs))
            hint = f" Did you mean {near}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; a fault that its parser found is told as the verb's."""
        try:
            return super().invoke(ctx)
        except click.UsageError as fault:
            verb = ctx.invoked_subcommand
            command = self.get_command(ctx, verb) if verb is not None else None
            if fault.ctx is None and command is not None:
                fault.ctx = click.Context(command, info_name=verb, parent=ctx)
            raise


class LazyGroup(VerbGroup):
    """A group whose verbs stand in modules of their own, each loaded when it is asked for."""

    home: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click asks so
        """Return the names of the verbs."""
        return list(self.home)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  # click asks so
        cmd_name: str,
    ) -> click.Command | None:
        """Return one verb."""
        if cmd_name not in self.home:
            return None
        command: click.Command = import_module(f"tallystick.cli.{self.home[cmd_name]}").command
        return command
