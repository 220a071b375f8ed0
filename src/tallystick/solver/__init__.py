# SPDX-License-Identifier: Apache-2.0
"""The solver: decides on intents, runs them at most once, and leaves evidence of each."""
