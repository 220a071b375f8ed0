# SPDX-License-Identifier: Apache-2.0
"""The contracts from outside: a node, an account that sends, and what stands in the contracts."""
