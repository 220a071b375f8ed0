# SPDX-License-Identifier: Apache-2.0
"""The command `tally`: what people see of the library, and the exit codes that scripts see."""
