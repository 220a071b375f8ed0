# SPDX-License-Identifier: Apache-2.0
"""Style is a test: the rules of this house, each with its reason."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tallystick"
REFERENCE = ROOT / "docs" / "reference"

MODULE_LINES_MAX = 400
TABLES = (
    SOURCE / "config.py",
    SOURCE / "errors.py",
    SOURCE / "limits.py",
    SOURCE / "verify" / "findings.py",
)
FUNCTION_LINES_MAX = 60

# Rooms that must work without clock, disk, wire and log; and the modules that would betray them.
PURE_ROOMS = ("crypto", "model", "verify")
FOREIGN_MODULES = ("asyncio", "http.client", "logging", "socket", "sqlite3", "urllib.request")

# Names that say nothing about what is inside.
EMPTY_NAMES = {
    "base",
    "common",
    "core",
    "handler",
    "helper",
    "helpers",
    "manager",
    "misc",
    "util",
    "utils",
}

# What the issue of this release promises to be importable from `tallystick`.
# fmt: off
PROMISED_NAMES = {
    "Action", "ApiKeyAuth", "Authorization", "BearerAuth", "BufferingEmitter", "ChainClosedError",
    "CompositeEmitError", "CompositeEmitter", "Delegation", "EmitError", "Emitter",
    "EnvVarKeyProvider", "FileEmitter", "FileKeyProvider", "FileWal", "Finding",
    "GeneratingKeyProvider", "HttpEmitter", "HttpEmitterConfig", "InMemoryEmitter",
    "InMemoryKeyProvider", "Intent", "Issuer", "KeyMismatchError", "KeyPair", "KeyProvider",
    "KeyRotation", "LeaseExpired", "Link", "LocalSigner", "MemoryWal", "MtlsAuth", "NoAuth",
    "Outcome", "Principal", "ProductionKeyProviderError", "Receipt", "ReceiptChain",
    "RecordedAction", "Recorder", "Report", "RetryConfig", "SessionSigner", "Signer",
    "SignerUnavailable", "SigningError", "UnsignedReceipt", "Verdict", "Wal", "WalEmitter",
    "WalError", "canonicalize", "connect", "create_receipt", "decrypt_disclosure", "did_key_decode",
    "did_key_encode", "encrypt_disclosure", "generate_key_pair", "hash_receipt",
    "install_sigterm_flush", "sign_receipt", "verify_chain", "verify_receipt",
}
# fmt: on

# Words of the protocol that stay as the protocol spells them.
PROTOCOL_NAMES = {
    "CredentialSubject",
    "KeystoreSigner",  # Ethereum calls its file so
    "PeerCredential",
    "open_keystore",
    "write_keystore",
}


@cache
def project_files() -> tuple[Path, ...]:
    """Return every file of the project that git tracks or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return tuple(path for path in (ROOT / name for name in listed) if path.is_file())


def python_files(*folders: str) -> list[Path]:
    """Return the project's Python files below some folders, or all of them."""
    return [
        path
        for path in project_files()
        if path.suffix == ".py" and (not folders or path.relative_to(ROOT).parts[0] in folders)
    ]


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a file, methods and inner ones too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def place(path: Path, node: ast.stmt | ast.expr | None = None) -> str:
    """Return `path:line` as editors want it."""
    return f"{path.relative_to(ROOT)}" + (f":{node.lineno}" if node else "")


def source_modules() -> list[str]:
    """Return the dotted names of all modules in `src`."""
    package = importlib.import_module("tallystick")
    names = [found.name for found in pkgutil.walk_packages(package.__path__, "tallystick.")]
    return ["tallystick", *names]


def first_column(page: str) -> list[str]:
    """Return the names in the first column of the tables of a reference page."""
    text = (REFERENCE / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_files_were_found() -> None:
    """The rules below have something to look at."""
    assert len(python_files("src")) > 20
    assert len(source_modules()) > 20


def test_modules_are_short() -> None:
    """No module has more than 400 lines: a reader holds one in the head. A table is looked up."""
    long = {
        place(path): lines
        for path in python_files("src", "tools", "bench", "examples")
        if path not in TABLES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_MAX
    }
    assert not long


def test_functions_are_short() -> None:
    """No function has more than 60 lines, its docstring not counted."""
    long = {}
    for path in python_files():
        for node in functions_of(path):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                long[place(path, node)] = (node.name, lines)
    assert not long


def test_no_imports_for_types_only() -> None:
    """No TYPE_CHECKING: an import that only types need is a cycle in disguise."""
    marker = "TYPE_" + "CHECKING"
    assert not [place(path) for path in python_files("src") if marker in path.read_text("utf-8")]


def test_only_the_command_line_prints() -> None:
    """A library says things to its caller, not to the terminal."""
    printing = [
        place(path, node)
        for path in python_files("src")
        if path.relative_to(SOURCE).parts[0] != "cli"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "print"
    ]
    assert not printing


def test_names_say_something() -> None:
    """No module is called utils, and none after the room in which it is."""
    empty = [
        place(path)
        for path in python_files("src")
        if path.stem in EMPTY_NAMES or path.stem == path.parent.name
    ]
    assert not empty


def test_every_module_has_its_unit_test() -> None:
    """`src/tallystick/room/thing.py` is tested by `tests/unit/room/test_thing.py`."""
    missing = []
    for path in python_files("src"):
        inside = path.relative_to(SOURCE)
        if path.name == "__init__.py" and inside.parent != Path():
            continue  # a room's door holds its docstring
        name = "front_door" if path.name == "__init__.py" else path.stem
        mirror = ROOT / "tests" / "unit" / inside.parent / f"test_{name}.py"
        if not mirror.exists():
            missing.append(str(mirror.relative_to(ROOT)))
    assert not missing


def test_every_test_states_its_property() -> None:
    """Each test has a docstring that says what holds."""
    silent = [
        place(path, node)
        for path in python_files("tests")
        for node in functions_of(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent


@pytest.mark.parametrize("name", source_modules())
def test_all_is_sorted_and_true(name: str) -> None:
    """`__all__`, where there is one, is sorted, without repeats, and each name is there."""
    module = importlib.import_module(name)
    names = list(getattr(module, "__all__", ()))
    assert names == sorted(set(names))
    assert not [one for one in names if not hasattr(module, one)]


def test_promised_names_are_public() -> None:
    """The front door offers every name that users were promised."""
    public = set(importlib.import_module("tallystick").__all__)
    assert not PROMISED_NAMES - public


def test_licence_comes_first() -> None:
    """Each source file begins with its licence, in one line."""
    line = "# SPDX-License-Identifier: Apache-2.0"
    bare = []
    for path in project_files():
        if path.suffix in (".py", ".sh", ".toml") or path.name in ("Makefile", "run"):
            lines = path.read_text(encoding="utf-8").splitlines()
            first = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
            if lines and first != [line]:
                bare.append(place(path))
    assert not bare


def test_how_to_install_is_said_in_one_place() -> None:
    """There is no release on PyPI yet: only `how_to_install` names it, and names the clone, too."""
    told = [
        place(path)
        for path in project_files()
        if path.suffix in {".py", ".md", ".txt"}
        and re.search(r"install ['\"]?tallystick\[", path.read_text(encoding="utf-8"))
        and not path.is_relative_to(REFERENCE)
    ]
    assert told == ["src/tallystick/errors.py"]


def test_errors_are_documented() -> None:
    """The page of errors lists each error, and none that is not there."""
    for name in source_modules():
        importlib.import_module(name)
    found = set()
    waiting: list[type[BaseException]] = [importlib.import_module("tallystick").Error]
    while waiting:
        kind = waiting.pop()
        found.add(kind.__name__)
        waiting += [one for one in kind.__subclasses__() if one.__module__[:11] == "tallystick."]
    assert sorted(first_column("errors")) == sorted(found)
    drawn = importlib.import_module("tallystick.errors").__doc__ or ""
    assert not [name for name in found if not re.search(rf"\b{name}\b", drawn)]


def test_limits_are_documented() -> None:
    """The page of limits lists each bound, and none that is not there."""
    limits = vars(importlib.import_module("tallystick.limits"))
    assert sorted(first_column("limits")) == sorted(name for name in limits if name.isupper())


def test_limits_are_used() -> None:
    """A bound that nothing reads bounds nothing."""
    text = "".join(
        path.read_text(encoding="utf-8") for path in python_files("src") if path.stem != "limits"
    )
    limits = vars(importlib.import_module("tallystick.limits"))
    assert not [name for name in limits if name.isupper() and name not in text]


def test_finding_codes_are_documented() -> None:
    """The page of findings lists each code, and none that is not there."""
    codes = importlib.import_module("tallystick.verify.findings").CODES
    assert first_column("findings") == list(codes)


def test_finding_codes_show_their_weight() -> None:
    """UPPER CASE decides the verdict, lower case does not; the key is the name."""
    codes = importlib.import_module("tallystick.verify.findings").CODES
    for name, code in codes.items():
        assert name == code.name
        assert code.severity in ("refused", "unchecked", "advisory")
        assert name.islower() if code.severity == "advisory" else name.isupper(), name
        assert code.summary, name
        assert code.remedy, name


def test_reference_is_up_to_date() -> None:
    """The generated pages are what the code says today."""
    done = subprocess.run(
        [sys.executable, "tools/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_names_the_place_where_it_was_made() -> None:
    """No file of the project knows a path or a package mirror of the machine that built it."""
    strange = ["/" + "work/", "/tmp/" + "w/"]
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "NPM_CONFIG_REGISTRY"):
        for url in os.environ.get(variable, "").split():
            host = urlsplit(url).hostname
            if host and host not in ("pypi.org", "registry.npmjs.org"):
                strange.append(host)
    naming = {}
    for path in project_files():
        text = path.read_bytes().decode("utf-8", "replace")
        if found := [word for word in strange if word in text]:
            naming[place(path)] = found
    assert not naming


def test_nothing_is_left_for_later() -> None:
    """What is not done stands in an issue, where somebody looks, and not in a comment."""
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    left = [
        place(path)
        for path in project_files()
        if path.suffix in (".py", ".md", ".sh", ".toml") or path.name in ("Makefile", "run")
        if marks.search(path.read_text(encoding="utf-8"))
    ]
    assert not left


def banned_words() -> set[str]:
    """Return the glossary's last column."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)[2:]
    return {word.strip() for row in rows for word in row.split(",")}


def public_definitions() -> Iterator[tuple[str, str]]:
    """Yield (place, name) of each public class and function on the outer level of a module."""
    for path in python_files("src"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                yield place(path, node), node.name


def test_one_word_for_one_thing() -> None:
    """No public name uses a word that the glossary replaces by another."""
    banned = banned_words()
    assert len(banned) > 20
    wrong = {}
    for where, name in public_definitions():
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
        if name not in PROTOCOL_NAMES and words & banned:
            wrong[where] = (name, words & banned)
    assert not wrong


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in source_modules()
        if name.split(".")[1:2] and name.split(".")[1] in PURE_ROOMS
    ],
)
def test_pure_rooms_stay_pure(name: str) -> None:
    """In a fresh process, importing the module loads no wire, database, event loop or log."""
    program = (
        f"import sys, {name}\nprint(*[one for one in {FOREIGN_MODULES!r} if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_front_door_opens_nothing() -> None:
    """`import tallystick` loads no heavy or foreign module before a name is asked for."""
    heavy = (*FOREIGN_MODULES, "click", "cryptography", "msgspec", "nacl", "rfc8785", "rich")
    program = f"import sys, tallystick\nprint(*[one for one in {heavy!r} if one in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
