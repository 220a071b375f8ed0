# SPDX-License-Identifier: Apache-2.0
"""Where signed receipts go: to a collector over HTTP, to a log first, to several places, to memory.

An emitter delivers what it is given, bytes unchanged. It builds, signs and links nothing.
"""
