-- SPDX-License-Identifier: Apache-2.0
-- A collector's store on SQLite. Names are UTF-8 bytes: a JSON string may hold U+0000.
-- Rows are written once, but for `log_head`, `tree`, a chain's summary, and the note of an intent.

-- What sequencing locks: the index of the next entry, and the newest time that was used or fenced.
CREATE TABLE log_head (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    next_index INTEGER NOT NULL,
    last_ms    INTEGER NOT NULL
) STRICT;
INSERT INTO log_head VALUES (1, 0, 0);

-- Entries [start, stop) that became durable together: what one promise is about.
CREATE TABLE batch (
    start   INTEGER PRIMARY KEY,
    stop    INTEGER NOT NULL CHECK (stop > start),
    time_ms INTEGER NOT NULL,
    root    BLOB NOT NULL CHECK (length(root) = 32)
) STRICT;

-- One chain of one issuer. `no` is the index of its first entry; `family` that of the first chain
-- of this name under any issuer, and that one's `top` is the highest sequence in the family.
-- Names may be long, so SHA-256 of them is what is indexed.
-- `terminal`: 0 none, 1 complete, 2 interrupted, of the receipt with the highest sequence.
CREATE TABLE chain (
    tenant        BLOB NOT NULL,
    no            INTEGER NOT NULL,
    family        INTEGER NOT NULL,
    chain_hash    BLOB NOT NULL,
    issuer_hash   BLOB NOT NULL,
    chain_id      BLOB NOT NULL,
    issuer        BLOB NOT NULL,
    length        INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    terminal      INTEGER NOT NULL,
    top           INTEGER NOT NULL,
    last_index    INTEGER NOT NULL,
    first_ms      INTEGER NOT NULL,
    last_ms       INTEGER NOT NULL,
    PRIMARY KEY (tenant, no)
) STRICT;
CREATE UNIQUE INDEX chain_name ON chain (tenant, chain_hash, issuer_hash);
CREATE UNIQUE INDEX chain_family ON chain (tenant, chain_hash) WHERE no = family;

-- The log. `sequence` is -1 where the receipt has none that counts.
CREATE TABLE entry (
    idx       INTEGER PRIMARY KEY,
    tenant    BLOB NOT NULL,
    chain     INTEGER NOT NULL,
    family    INTEGER NOT NULL,
    sequence  INTEGER NOT NULL,
    terminal  INTEGER NOT NULL,
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    id_hash   BLOB NOT NULL CHECK (length(id_hash) = 32),
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32)
) STRICT;
CREATE INDEX entry_position ON entry (family, sequence);

-- What was received, byte for byte.
CREATE TABLE body (
    idx          INTEGER PRIMARY KEY,
    tenant       BLOB NOT NULL,
    family       INTEGER NOT NULL,
    receipt_id   BLOB NOT NULL,
    receipt_hash BLOB NOT NULL,
    body         BLOB NOT NULL
) STRICT;

-- Sorted keys of a closed segment of entries: see store/key_index.py. Derived from `entry`.
CREATE TABLE run (
    slot  INTEGER PRIMARY KEY,
    words BLOB NOT NULL
) STRICT;

-- Full hash tiles; partial ones are their beginnings.
CREATE TABLE tile (
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    root   BLOB NOT NULL CHECK (length(root) = 32),
    hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (level, number)
) STRICT;

-- How far the tree is, and its right edge. Derived from `entry`.
CREATE TABLE tree (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    edge BLOB NOT NULL
) STRICT;
INSERT INTO tree VALUES (1, 0, x'');

-- Every size that was ever signed has one root.
CREATE TABLE head (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL CHECK (length(root) = 32)
) STRICT;

-- Without a note: an intent, durable before it is signed.
CREATE TABLE checkpoint (
    number INTEGER PRIMARY KEY,
    time_s INTEGER NOT NULL,
    size   INTEGER NOT NULL REFERENCES head (size),
    note   BLOB
) STRICT;
CREATE INDEX checkpoint_size ON checkpoint (size, number);

-- What `probe` writes.
CREATE TABLE probe (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO probe VALUES (1, 0);

-- Tripwires, not security: our own mistakes, and a careless hand at the command line.
CREATE TRIGGER batch_update BEFORE UPDATE ON batch
BEGIN SELECT RAISE(ABORT, 'tripwire: batch is append-only'); END;
CREATE TRIGGER batch_delete BEFORE DELETE ON batch
BEGIN SELECT RAISE(ABORT, 'tripwire: batch is append-only'); END;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'tripwire: entry is append-only'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'tripwire: entry is append-only'); END;
CREATE TRIGGER body_update BEFORE UPDATE ON body
BEGIN SELECT RAISE(ABORT, 'tripwire: body is append-only'); END;
CREATE TRIGGER body_delete BEFORE DELETE ON body
BEGIN SELECT RAISE(ABORT, 'tripwire: body is append-only'); END;
CREATE TRIGGER tile_update BEFORE UPDATE ON tile
BEGIN SELECT RAISE(ABORT, 'tripwire: tile is append-only'); END;
CREATE TRIGGER tile_delete BEFORE DELETE ON tile
BEGIN SELECT RAISE(ABORT, 'tripwire: tile is append-only'); END;
CREATE TRIGGER head_update BEFORE UPDATE ON head
BEGIN SELECT RAISE(ABORT, 'tripwire: head is append-only'); END;
CREATE TRIGGER head_delete BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'tripwire: head is append-only'); END;
CREATE TRIGGER chain_delete BEFORE DELETE ON chain
BEGIN SELECT RAISE(ABORT, 'tripwire: a chain does not go'); END;
CREATE TRIGGER log_head_delete BEFORE DELETE ON log_head
BEGIN SELECT RAISE(ABORT, 'tripwire: the log head does not go'); END;
CREATE TRIGGER log_head_update BEFORE UPDATE ON log_head
WHEN NEW.next_index < OLD.next_index OR NEW.last_ms < OLD.last_ms
BEGIN SELECT RAISE(ABORT, 'tripwire: the log head only grows'); END;
CREATE TRIGGER tree_delete BEFORE DELETE ON tree
BEGIN SELECT RAISE(ABORT, 'tripwire: the tree does not go'); END;
CREATE TRIGGER tree_update BEFORE UPDATE ON tree WHEN NEW.size < OLD.size
BEGIN SELECT RAISE(ABORT, 'tripwire: the tree only grows'); END;
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'tripwire: a checkpoint does not go'); END;
CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint
WHEN OLD.note IS NOT NULL OR NEW.number <> OLD.number OR NEW.time_s <> OLD.time_s
    OR NEW.size <> OLD.size
BEGIN SELECT RAISE(ABORT, 'tripwire: a checkpoint is written once'); END;
CREATE TRIGGER checkpoint_insert BEFORE INSERT ON checkpoint
WHEN EXISTS (
    SELECT 1 FROM (SELECT * FROM checkpoint ORDER BY number DESC LIMIT 1)
    WHERE number >= NEW.number OR time_s > NEW.time_s OR size > NEW.size OR note IS NULL
)
BEGIN SELECT RAISE(ABORT, 'tripwire: checkpoints only grow, one after the other'); END;
