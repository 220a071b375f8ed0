# SPDX-License-Identifier: Apache-2.0
"""`tally explain`: what a finding code means, and what to do."""

from __future__ import annotations

from difflib import get_close_matches

import click

_EPILOG = """\
\b
Examples
  tally explain CHAIN_GAP
  tally explain

\b
Exit codes: 0 explained, 2 no such code.
"""


def _codes(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the codes that begin so, in either case, for a shell to complete."""
    from tallystick.verify.findings import CODES

    return [name for name in CODES if name.casefold().startswith(incomplete.casefold())]


@click.command(
    "explain", short_help="Say what a finding code means and what to do.", epilog=_EPILOG
)
@click.argument("code", required=False, metavar="[CODE]", shell_complete=_codes)
def command(code: str | None) -> None:
    """Say what a finding code means and what to do; without CODE, list them all."""
    from tallystick.cli.output import say
    from tallystick.verify.findings import CODES

    if code is None:
        width = max(map(len, CODES))
        for one in CODES.values():
            say(f"{one.name:<{width}}  {one.severity:<9}  {one.summary}")
        return
    by_name = {name.casefold(): found for name, found in CODES.items()}
    found = by_name.get(code.casefold())
    if found is None:
        near = get_close_matches(code.casefold(), by_name, n=3)
        names = " or ".join(by_name[name].name for name in near)
        hint = f"did you mean {names}?" if near else "`tally explain` lists them all."
        raise click.UsageError(f"there is no code {code}; {hint}")
    say((found.name, "strong"), f" ({found.severity})")
    say(found.summary)
    say(found.remedy)
