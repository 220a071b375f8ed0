# SPDX-License-Identifier: Apache-2.0
"""Calls one function with the inputs of an intent: run as a program of its own, by its path.

Arguments are `module:function` and the folders where modules are found. Inputs come as JSON on
standard input; what the function returns is written to `result.json`. Only the standard library is
used: the callable's environment is its own.
"""

from __future__ import annotations

import json
import sys
from functools import reduce
from importlib import import_module
from typing import Any


def call(place: str, inputs: Any) -> bytes:
    """Return what the function gives for these inputs, as JSON."""
    module, _, name = place.partition(":")
    function: Any = reduce(getattr, name.split("."), import_module(module))
    result = function(inputs)
    text = json.dumps(result, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def main(arguments: list[str]) -> None:
    """Call, and write the result beside the other artefacts."""
    place, *folders = arguments
    sys.path[:0] = folders
    result = call(place, json.loads(sys.stdin.buffer.read()))
    with open("result.json", "xb") as file:
        file.write(result)


if __name__ == "__main__":
    main(sys.argv[1:])
