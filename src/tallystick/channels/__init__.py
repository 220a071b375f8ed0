# SPDX-License-Identifier: Apache-2.0
"""Agents as they are, recorded without changing them: an MCP proxy, hooks, client settings."""
