# SPDX-License-Identifier: Apache-2.0
"""Facts: frozen values of the protocol, parsed or refused. No clock, disk or wire."""
