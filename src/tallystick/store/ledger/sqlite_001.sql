-- SPDX-License-Identifier: Apache-2.0
-- A daemon's ledger on SQLite, version 1.
--
-- The first fourteen columns and the four indexes after them are those of the protocol's other
-- tools, which read this file: neither their names nor their types may change. What stands behind
-- them is ours and has defaults. `receipt_json` holds the signed bytes and is never looked into;
-- the columns beside it are there to find rows, and prove nothing.

CREATE TABLE receipts (
  id TEXT PRIMARY KEY,
  chain_id TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  action_type TEXT NOT NULL,
  tool_name TEXT NOT NULL DEFAULT '',
  risk_level TEXT NOT NULL,
  status TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  issuer_id TEXT NOT NULL,
  principal_id TEXT,
  receipt_json TEXT NOT NULL,
  receipt_hash TEXT NOT NULL,
  previous_receipt_hash TEXT,
  created_at TEXT DEFAULT CURRENT_TIMESTAMP,
  session_id TEXT NOT NULL DEFAULT '',
  -- Whether the receipt closes its chain.
  terminal INTEGER NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX idx_receipts_chain ON receipts (chain_id, sequence);
CREATE INDEX idx_receipts_action ON receipts (action_type);
CREATE INDEX idx_receipts_risk ON receipts (risk_level);
CREATE INDEX idx_receipts_timestamp ON receipts (timestamp);

-- Ours.
CREATE INDEX idx_receipts_session ON receipts (session_id);

-- Only a mistake would do these; who means it can drop a trigger, and `verify` is the judge.
CREATE TRIGGER receipts_update BEFORE UPDATE ON receipts BEGIN
  SELECT raise(ABORT, 'tripwire: a receipt is never changed');
END;
CREATE TRIGGER receipts_delete BEFORE DELETE ON receipts BEGIN
  SELECT raise(ABORT, 'tripwire: a receipt is never removed');
END;
