# SPDX-License-Identifier: Apache-2.0
"""The smallest MCP server: answers each request at once, so that what is measured is the proxy."""

from __future__ import annotations

import sys

ANSWER = b'{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"ok"}]}}\n'


def main() -> None:
    """Answer lines until there are no more."""
    for line in sys.stdin.buffer:
        begin = line.index(b'"id":') + 5
        end = line.index(b",", begin)
        sys.stdout.buffer.write(ANSWER % line[begin:end])
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
