# SPDX-License-Identifier: Apache-2.0
"""`python -m tallystick` is `tally`."""

from __future__ import annotations

from tallystick.cli.main import main

if __name__ == "__main__":
    main()
