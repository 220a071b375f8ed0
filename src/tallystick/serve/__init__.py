# SPDX-License-Identifier: Apache-2.0
"""What HTTP services share: who calls, how much at once, what is said when it does not work."""
