# SPDX-License-Identifier: Apache-2.0
"""Compile contracts/ into the artefacts that the package carries, or compare the two.

    python tools/contracts.py            # write src/tallystick/onchain/artifacts/*.json
    python tools/contracts.py --check    # exit 1 where they differ from what the sources give

Vyper 0.4.3 has no declared errors; ours are four-byte selectors, raised by `raw_revert`. They are
collected from the sources and put into the ABI, so that clients decode them by name.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import vyper
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.output import build_abi_output
from vyper.compiler.phases import CompilerData

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "contracts"
ARTIFACTS = ROOT / "src" / "tallystick" / "onchain" / "artifacts"
NAMES = ("SolverRegistry", "IntentReceiptHub", "DisputeModule")

_ERROR = re.compile(r'raw_revert\(method_id\("([A-Za-z]+)\(\)"\)\)')


def errors_of(name: str) -> list[str]:
    """Return the names of the errors that a contract raises itself."""
    return sorted(set(_ERROR.findall((SOURCES / f"{name}.vy").read_text(encoding="utf-8"))))


def build(source: Path) -> dict[str, Any]:
    """Return the artefact of a source; what it imports lies beside it."""
    bundle = FilesystemInputBundle([source.parent])
    data = CompilerData(
        bundle.load_file(source.name), input_bundle=bundle, no_bytecode_metadata=True
    )
    known = {error for other in NAMES for error in errors_of(other)}
    faults = [{"type": "error", "name": error, "inputs": []} for error in sorted(known)]
    return {
        "contract": source.stem,
        "compiler": f"vyper {vyper.__version__}",
        "abi": [*build_abi_output(data), *faults],
        "bytecode": f"0x{data.bytecode.hex()}",
        "runtimeBytes": len(data.bytecode_runtime),
    }


def encoded(made: Mapping[str, Any]) -> str:
    """Return the text of an artefact's file."""
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def differing() -> Iterator[str]:
    """Yield the names of the artefacts that are not what the sources give."""
    for name in NAMES:
        path = ARTIFACTS / f"{name}.json"
        if not path.is_file() or path.read_text(encoding="utf-8") != encoded(
            build(SOURCES / f"{name}.vy")
        ):
            yield name


def main() -> int:
    """Write or compare."""
    if "--check" in sys.argv[1:]:
        stale = list(differing())
        for name in stale:
            print(f"{name}: the artefact is not what contracts/ gives; run tools/contracts.py")
        return 1 if stale else 0
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        made = build(SOURCES / f"{name}.vy")
        (ARTIFACTS / f"{name}.json").write_text(encoded(made), encoding="utf-8")
        print(f"{name}: {made['runtimeBytes']} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
