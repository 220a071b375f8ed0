# SPDX-License-Identifier: Apache-2.0
"""The log over HTTP: right bytes, right caching, one address for each thing."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import logs
from tests.collectors import Running, opened, serving, submissions

from tallystick.collector.log_routes import log_routes
from tallystick.crypto.merkle import verify_consistency, verify_inclusion
from tallystick.model.checkpoint import open_checkpoint
from tallystick.model.log_proof import parse_log_proof

FOREVER = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a collector whose log has 600 entries, with checkpoints of 300 and of 600."""
    folder = tmp_path_factory.mktemp("log")
    with opened(folder) as store, serving(folder, store=store, growing_s=1000) as found:
        for name in ("a", "b"):
            store.place(submissions(300, name))
            found.service._checkpoints.make()
        yield found


def size_of(running: Running) -> int:
    """Return the size of the checkpoint that is served."""
    keys = running.service.sequencer._keys
    _, _, note = running.get("/log/checkpoint")
    return open_checkpoint(note, keys.log.verifier, keys.time.verifier).size


def test_the_checkpoint_is_news(running: Running) -> None:
    """It is a signed note of the whole log, and no cache may keep it."""
    status, headers, _ = running.get("/log/checkpoint")
    assert status == 200
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert size_of(running) == 600


@pytest.mark.parametrize(
    ("path", "length", "kind"),
    [
        ("tile/0/000", 8192, "application/octet-stream"),
        ("tile/0/001.p/44", 1408, "application/octet-stream"),
        ("tile/0/002.p/88", 2816, "application/octet-stream"),
        ("tile/0/002.p/1", 32, "application/octet-stream"),
        ("tile/1/000.p/2", 64, "application/octet-stream"),
        ("tile/entries/000", 256 * 89, "application/octet-stream"),
        ("tile/entries/002.p/88", 88 * 89, "application/octet-stream"),
        ("sheet", 0, "text/plain; charset=utf-8"),
    ],
)
def test_what_never_changes_is_kept_by_caches(
    running: Running, path: str, length: int, kind: str
) -> None:
    """Tiles, bundles and the sheet are immutable, and say so."""
    status, headers, body = running.get(f"/log/{path}")
    assert status == 200
    assert headers["content-type"] == kind
    assert headers["cache-control"] == FOREVER
    assert not length or len(body) == length


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/003",
        "tile/0/002",
        "tile/0/002.p/89",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/x000/000",
        "tile/0/0",
        "tile/0/%30%30%30",
        "tile/00/000",
        "tile/64/000",
        "tile/1/000",
        "tile/entries/003",
        "tile/entries/000/",
        "tile//000",
        "proof/600.tlog-proof",
        "proof/00.tlog-proof",
        "proof/1.tlog-proof?size=299",
        "proof/%31.tlog-proof",
        "nothing",
    ],
)
def test_what_is_not_there_is_never_pinned(running: Running, path: str) -> None:
    """A second spelling, or what no checkpoint implies, is 404, and caches do not keep that."""
    status, headers, body = running.get(f"/log/{path}")
    assert status == 404
    assert headers["cache-control"] == "no-store"
    assert json.loads(body)["status"] == 404


@logs.needs_vectors
def test_published_bad_paths_are_not_served(running: Running) -> None:
    """Every path that the shared vectors refuse is 404."""
    for path in logs.vectors()["tiles"]["reject_404"]:
        if path.isascii() and path.isprintable() and " " not in path:
            assert running.get(f"/log/{path}")[0] == 404, path


def test_only_reading_is_possible(running: Running) -> None:
    """Nothing under /log/ takes a POST; HEAD is a GET without a body."""
    assert running.ask("POST", "/log/checkpoint", b"{}")[0] == 405
    status, headers, body = running.ask("HEAD", "/log/tile/0/000")
    assert (status, body, headers["content-length"]) == (200, b"", "8192")


@pytest.mark.parametrize(("index", "size"), [(0, 1), (5, 300), (299, 300), (299, 600), (599, 600)])
def test_inclusion_is_proven(running: Running, index: int, size: int) -> None:
    """Leaf, path and root of any size belong together; with its size named it never changes."""
    status, headers, body = running.get(f"/log/proof/inclusion?index={index}&size={size}")
    found = json.loads(body)
    assert status == 200
    assert headers["cache-control"] == FOREVER
    path = [b64decode(one) for one in found["path"]]
    leaf, root = b64decode(found["leaf"]), b64decode(found["root"])
    assert verify_inclusion(leaf, index, size, path, root)


@pytest.mark.parametrize(("old", "new"), [(1, 600), (300, 600), (256, 300), (600, 600)])
def test_consistency_is_proven(running: Running, old: int, new: int) -> None:
    """Each tree begins with each smaller one."""
    status, headers, body = running.get(f"/log/proof/consistency?from={old}&to={new}")
    found = json.loads(body)
    assert status == 200
    assert headers["cache-control"] == FOREVER
    path = [b64decode(one) for one in found["path"]]
    roots = (b64decode(found["from_root"]), b64decode(found["to_root"]))
    assert verify_consistency(old, new, *roots, path)


def test_without_a_size_the_newest_is_meant(running: Running) -> None:
    """Then the answer changes with the log, and is not kept."""
    for path in ("inclusion?index=7", "consistency?from=7"):
        status, headers, body = running.get(f"/log/proof/{path}")
        found = json.loads(body)
        assert status == 200
        assert headers["cache-control"] == "no-cache"
        assert 600 in (found.get("size"), found.get("to"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("inclusion", 400),
        ("inclusion?index=-1", 400),
        ("inclusion?index=+1", 400),
        ("inclusion?index=01", 400),
        ("inclusion?index=1&index=2", 400),
        ("inclusion?index=9223372036854775808", 400),
        ("inclusion?index=%EF%BC%91", 400),
        ("inclusion?index=600", 404),
        ("inclusion?index=5&size=5", 404),
        ("inclusion?index=5&size=601", 404),
        ("consistency?from=0&to=5", 404),
        ("consistency?from=6&to=5", 404),
        ("consistency?to=5", 400),
        ("consistency?from=5&to=601", 404),
    ],
)
def test_proofs_that_do_not_exist(running: Running, path: str, status: int) -> None:
    """What can't be read is 400, what is not covered by a checkpoint 404."""
    assert running.get(f"/log/proof/{path}")[0] == status


def test_a_proof_file_is_served(running: Running) -> None:
    """A `.tlog-proof` of the newest checkpoint, or of one whose size is named."""
    keys = running.service.sequencer._keys
    for query, size in (("", 600), ("?size=300", 300)):
        status, headers, body = running.get(f"/log/proof/42.tlog-proof{query}")
        assert status == 200
        assert headers["cache-control"] == "no-cache"
        proof = parse_log_proof(body)
        signed = open_checkpoint(proof.note, keys.log.verifier, keys.time.verifier)
        assert signed.size == size
        assert proof.extra is not None
        assert proof.includes(proof.extra, signed.checkpoint)


def test_no_receipt_is_in_the_log(running: Running) -> None:
    """What is public are hashes: neither bodies nor ids are in any resource."""
    for path in ("tile/entries/000", "tile/0/000", "checkpoint", "proof/3.tlog-proof"):
        assert b"urn:receipt" not in running.get(f"/log/{path}")[2]


def test_all_routes_are_get() -> None:
    """The table holds nothing that writes."""
    found = log_routes(None)  # type: ignore[arg-type]
    assert len(found) == 6
    assert all(one.methods == {"GET", "HEAD"} for one in found)


def test_a_log_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    """Before the first checkpoint there is nothing to see."""
    with serving(tmp_path, growing_s=1000) as running:
        running.service.log._newest = None
        assert running.get("/log/checkpoint")[0] == 404
        assert running.get("/log/proof/0.tlog-proof")[0] == 404
