# SPDX-License-Identifier: Apache-2.0
"""The signing daemon: the only holder of the key and the only writer of its store."""
