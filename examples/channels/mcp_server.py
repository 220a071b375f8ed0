# SPDX-License-Identifier: Apache-2.0
"""The smallest MCP server that answers a call of a tool: it knows nothing of the proxy."""

from __future__ import annotations

import json
import sys

for line in sys.stdin:
    asked = json.loads(line)
    text = {"type": "text", "text": "done: " + asked["params"]["name"]}
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"content": [text]}}
    print(json.dumps(answer), flush=True)
