-- SPDX-License-Identifier: Apache-2.0
-- A collector's store on PostgreSQL, in SQL that distributed engines of its kind share. What grows
-- with receipts can be partitioned: `chain` and `body` by tenant, `body` by family too, `entry` by
-- ranges of idx. Names are UTF-8 bytes: a JSON string may hold U+0000, which `text` refuses.
-- Rows are written once, but for `log_head`, `tree`, a chain's summary, and the note of an intent.

-- What sequencing locks: the index of the next entry, and the newest time that was used or fenced.
CREATE TABLE log_head (
    one        smallint PRIMARY KEY CHECK (one = 1),
    next_index bigint NOT NULL,
    last_ms    bigint NOT NULL
);
INSERT INTO log_head VALUES (1, 0, 0);

-- Entries [start, stop) that became durable together: what one promise is about.
CREATE TABLE batch (
    start   bigint PRIMARY KEY,
    stop    bigint NOT NULL CHECK (stop > start),
    time_ms bigint NOT NULL,
    root    bytea NOT NULL CHECK (octet_length(root) = 32)
);

-- One chain of one issuer. `no` is the index of its first entry; `family` that of the first chain
-- of this name under any issuer, and that one's `top` is the highest sequence in the family.
-- Names may be long, so SHA-256 of them is what is indexed.
-- `terminal`: 0 none, 1 complete, 2 interrupted, of the receipt with the highest sequence.
CREATE TABLE chain (
    tenant        bytea NOT NULL,
    no            bigint NOT NULL,
    family        bigint NOT NULL,
    chain_hash    bytea NOT NULL,
    issuer_hash   bytea NOT NULL,
    chain_id      bytea NOT NULL,
    issuer        bytea NOT NULL,
    length        bigint NOT NULL,
    last_sequence bigint NOT NULL,
    terminal      bigint NOT NULL,
    top           bigint NOT NULL,
    last_index    bigint NOT NULL,
    first_ms      bigint NOT NULL,
    last_ms       bigint NOT NULL,
    PRIMARY KEY (tenant, no)
);
CREATE UNIQUE INDEX chain_name ON chain (tenant, chain_hash, issuer_hash);
CREATE UNIQUE INDEX chain_family ON chain (tenant, chain_hash) WHERE no = family;

-- The log. `sequence` is -1 where the receipt has none that counts.
CREATE TABLE entry (
    idx       bigint PRIMARY KEY,
    tenant    bytea NOT NULL,
    chain     bigint NOT NULL,
    family    bigint NOT NULL,
    sequence  bigint NOT NULL,
    terminal  bigint NOT NULL,
    digest    bytea NOT NULL CHECK (octet_length(digest) = 32),
    id_hash   bytea NOT NULL CHECK (octet_length(id_hash) = 32),
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
);
CREATE INDEX entry_position ON entry (family, sequence, idx);

-- What was received, byte for byte.
CREATE TABLE body (
    tenant       bytea NOT NULL,
    family       bigint NOT NULL,
    idx          bigint NOT NULL,
    receipt_id   bytea NOT NULL,
    receipt_hash bytea NOT NULL,
    body         bytea NOT NULL,
    PRIMARY KEY (tenant, family, idx)
);

-- Sorted keys of a closed segment of entries: see store/key_index.py. Derived from `entry`.
CREATE TABLE run (
    slot  bigint PRIMARY KEY,
    words bytea NOT NULL
);

-- Full hash tiles; partial ones are their beginnings.
CREATE TABLE tile (
    level  bigint NOT NULL,
    number bigint NOT NULL,
    root   bytea NOT NULL CHECK (octet_length(root) = 32),
    hashes bytea NOT NULL CHECK (octet_length(hashes) = 8192),
    PRIMARY KEY (level, number)
);

-- How far the tree is, and its right edge. Derived from `entry`.
CREATE TABLE tree (
    one  smallint PRIMARY KEY CHECK (one = 1),
    size bigint NOT NULL,
    edge bytea NOT NULL
);
INSERT INTO tree VALUES (1, 0, '');

-- Every size that was ever signed has one root.
CREATE TABLE head (
    size bigint PRIMARY KEY,
    root bytea NOT NULL CHECK (octet_length(root) = 32)
);

-- Without a note: an intent, durable before it is signed.
CREATE TABLE checkpoint (
    number bigint PRIMARY KEY,
    time_s bigint NOT NULL,
    size   bigint NOT NULL REFERENCES head (size),
    note   bytea
);
CREATE INDEX checkpoint_size ON checkpoint (size, number);

-- What `probe` writes.
CREATE TABLE probe (
    one   smallint PRIMARY KEY CHECK (one = 1),
    count bigint NOT NULL
);
INSERT INTO probe VALUES (1, 0);
