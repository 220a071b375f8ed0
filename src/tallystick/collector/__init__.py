# SPDX-License-Identifier: Apache-2.0
"""The collector: stores signed receipts, and gives its signed word that they are in its log.

It verifies no signature of a receipt and makes none. What it signs is its own log, with keys of its
own.
"""
