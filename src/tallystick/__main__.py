# SPDX-License-Identifier: Apache-2.0
"""`python -m tallystick` is `tally`."""

from __future__ import annotations

from tallystick.cli.start import run

if __name__ == "__main__":
    run()
