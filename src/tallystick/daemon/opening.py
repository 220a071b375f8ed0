# SPDX-License-Identifier: Apache-2.0
"""Opens the ledger: lock the store, look for what was acknowledged, get the key ready, resume.

Nothing is written before all of it was looked at, but for what a crash left of a rotation.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from tallystick.daemon.chain_names import check_fixed, root_of
from tallystick.daemon.drafted import Drafting
from tallystick.daemon.head_file import HeadFile
from tallystick.daemon.key_source import KeySource
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.publishing import publish
from tallystick.daemon.resume import check_heads, resume
from tallystick.daemon.rotation import recover
from tallystick.durable.file import FilePath
from tallystick.store.ledger import LedgerStore

_LOG = logging.getLogger("tallystick.daemon")


def open_ledger(
    *,
    db: FilePath,
    keys: KeySource,
    public_path: FilePath,
    heads_path: FilePath,
    issuer_id: str,
    drafting: Drafting,
    clock: Callable[[], int],
    chain_id: str | None = None,
) -> Ledger:
    """Return the ledger, ready for frames; `clock` gives nanoseconds since 1970.

    Raises an error that says what to do where another daemon has the store, the key is not fit to
    be used, another public key is published, or the store is not the one that we left.
    """
    fixed = check_fixed(chain_id) if chain_id else None
    try:
        if not os.path.lexists(db):
            keys.init()  # a start without a key leaves no empty store behind
        store = LedgerStore(db, clock_ms=lambda: clock() // 1_000_000)
    except BaseException:
        keys.teardown()
        raise
    try:
        heads = HeadFile(heads_path)
        try:
            check_heads(store, heads.heads)
            keys.init()
            done = recover(keys, public_path, store)
            if done is not None:
                _LOG.warning("%s", done)
            publish(public_path, keys.get_public_key())
            if len(store) and not heads.heads:
                _LOG.warning("no heads were kept beside the key: a rollback could not be seen")
            resumed = resume(store, keys.get_public_key())
            # They were looked for; kept, they would fill the file of a daemon that often starts.
            going_on = {place.head.chain_id for place in resumed.agents}
            agents = {one for one in heads.heads if one != root_of(one)}
            heads.leave_out(agents - going_on)
            ledger = Ledger(
                store=store,
                keys=keys,
                public_path=public_path,
                heads=heads,
                issuer_id=issuer_id,
                drafting=drafting,
                clock=clock,
                chain_id=fixed,
                resumed=resumed,
            )
            ledger.begin()
        except BaseException:
            heads.close()
            raise
    except BaseException:
        keys.teardown()
        store.close()
        raise
    return ledger
