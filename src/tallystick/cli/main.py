# SPDX-License-Identifier: Apache-2.0
"""The command `tally`: finds the verb, and turns every way to end into an exit code.

Each verb has a module of its own, which is imported when it is called for, and imports what it
needs when it runs: `tally --help` stays fast. Whatever a verb raises ends here: one line on
standard error, an exit code, no traceback. `python -X dev -m tallystick …` shows tracebacks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import click
from click.shell_completion import shell_complete

from tallystick import __version__
from tallystick.cli.arguments import COMPLETE_VARIABLE
from tallystick.cli.groups import LazyGroup
from tallystick.cli.output import Exit, Stop, complain, prepare_streams
from tallystick.config import read
from tallystick.errors import DurableError, Error, MissingExtraError, UnreadableError

# Each verb and the module that holds its command.
_HOME: Final = {
    "keygen": "keygen",
    "signer": "signer",
    "verify": "verify",
    "show": "show",
    "list": "listing",
    "tail": "tail",
    "stats": "stats",
    "hash": "digest",
    "disclose": "disclose",
    "export": "export",
    "import-chain": "import_chain",
    "daemon": "daemon",
    "hook": "hook",
    "mcp": "mcp",
    "collector": "collector",
    "solver": "solver",
    "log": "log",
    "evidence": "evidence",
    "hub": "hub",
    "explain": "explain",
    "completion": "completion",
}

# As shells report a process that ends by SIGPIPE.
_PIPE_CLOSED: Final = 141

# Errors that say nothing against what was to be looked at.
_UNCHECKED: Final = (DurableError, MissingExtraError, UnreadableError)

_EPILOG: Final = """\
\b
Exit codes
  0  verified, or done
  1  refused: what was read is no valid receipt, chain or disclosure
  2  wrong usage, also a malformed key or trust file
  3  could not be checked: unreadable, nothing to verify, no key for that issuer

\b
Examples
  tally keygen
  tally verify run.jsonl --key signing.key.pub
"""


class Verbs(LazyGroup):
    """The group of all verbs, each loaded when it is asked for."""

    home: ClassVar[Mapping[str, str]] = _HOME  # in the order in which people meet them

    def main(  # type: ignore[override]  # click's overloads say no more than this
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002  # it is always `tally`
        complete_var: str | None = None,  # noqa: ARG002  # likewise
        standalone_mode: bool = True,
        **extra: Any,
    ) -> int:
        """Run `tally` on these arguments and exit, or return the exit code."""
        given = list(sys.argv[1:] if args is None else args)
        code = int(_guarded(lambda: self._run(given, extra)))
        if standalone_mode:
            sys.exit(code)
        return code

    def _run(self, args: list[str], extra: dict[str, Any]) -> int:
        prepare_streams()
        instruction = read(COMPLETE_VARIABLE)
        if instruction:
            return int(shell_complete(self, extra, "tally", COMPLETE_VARIABLE, instruction))
        with self.make_context("tally", args, **extra) as context:
            self.invoke(context)
        return Exit.OK


@click.group(
    cls=Verbs,
    epilog=_EPILOG,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 92},
)
@click.version_option(__version__, prog_name="tally", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Receipts for what AI agents do: make keys, verify chains, look inside."""
    if context.invoked_subcommand is None:
        raise click.UsageError(f"give a command: {', '.join(_HOME)}.", context)


def _guarded(work: Callable[[], int]) -> int:
    """Run, and return the exit code of whatever comes out."""
    try:
        try:
            return work()
        finally:
            # A full disk or a closed pipe shows now, while an exit code can still say so.
            if sys.stdout is not None:
                sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as fault:
        complain(_usage_line(fault))
        return Exit.USAGE
    except Stop as stop:
        complain(stop.line)
        return stop.code
    except (KeyboardInterrupt, click.Abort):
        return 130  # as start.py
    except BrokenPipeError:
        _forget_output()
        return _PIPE_CLOSED
    except Error as fault:
        complain(str(fault))
        return Exit.UNCHECKED if isinstance(fault, _UNCHECKED) else Exit.REFUSED
    except OSError as fault:
        # Nothing else lets one out: what is read becomes a finding, what is written an Error.
        _forget_output()
        complain(f"{fault.filename or 'standard output'}: {fault.strerror or fault}")
        return Exit.UNCHECKED
    except Exception as fault:  # noqa: BLE001  # the last resort: our own bug, told in one line
        return _own_bug(fault)


def _usage_line(fault: click.ClickException) -> str:
    context = fault.ctx if isinstance(fault, click.UsageError) else None
    verb = context.command_path if context is not None else "tally"
    text = " ".join(fault.format_message().split())
    if not text.endswith((".", "?")):
        text += "."
    return f"{text} See `{verb} --help`."


def _forget_output() -> None:
    """Let nothing more reach standard output, also not when the interpreter shuts down."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _own_bug(fault: Exception) -> int:
    if sys.flags.dev_mode:
        raise fault
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}" if frame is not None else "?"
    complain(
        f"a bug of ours ({type(fault).__name__} in {place}); please report it with the output of "
        "`python -X dev -m tallystick` and the same arguments"
    )
    return Exit.UNCHECKED
