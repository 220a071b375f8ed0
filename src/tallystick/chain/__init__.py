# SPDX-License-Identifier: Apache-2.0
"""From an action to a signed receipt that is linked to the one before."""
