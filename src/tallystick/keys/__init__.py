# SPDX-License-Identifier: Apache-2.0
"""Where signatures come from: key files, variables, memory, and keys made on the spot."""
