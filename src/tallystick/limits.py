# SPDX-License-Identifier: Apache-2.0
"""Every bound of the system: unit last in the name, reason in the comment.

`docs/reference/limits.md` is generated from this file.
"""

from __future__ import annotations

from typing import Final

# One receipt on the wire. The protocol's collector takes 1 MiB bodies by default.
RECEIPT_BYTES_MAX: Final = 1024 * 1024

# Nesting of arrays and objects in one JSON value. Real receipts stay below 12.
JSON_DEPTH_MAX: Final = 64

# Values in one JSON text, counted as its commas and opening brackets. Real receipts stay below 500;
# a megabyte of `0.5,` or `[[[[]]]],` would cost seconds and over 100 MB.
JSON_VALUES_MAX: Final = 64 * 1024

# Characters of one JSON number. The longest exact double in ES6 form needs 25.
JSON_NUMBER_CHARS_MAX: Final = 64

# Largest integer that every IEEE 754 implementation reads alike (I-JSON, RFC 7493).
JSON_INTEGER_MAX: Final = 2**53 - 1

# Characters of an identifier that the verifier keeps (issuer, chain, principal, key method).
IDENTIFIER_CHARS_MAX: Final = 1024

# Chains in one verification, in bytes of state: about 50 000 chains of usual names.
CHAIN_STATE_BYTES_MAX: Final = 64 * 1024 * 1024

# What one chain costs besides its names, in bytes, and its line in the report: measured, see
# tests/systems/test_memory.py.
CHAIN_STATE_BYTES_EACH: Final = 1100

# Findings listed in one report. Those beyond are counted, and still decide the verdict.
FINDINGS_MAX: Final = 1000

# Characters of received text that a finding quotes.
FINDING_TEXT_CHARS_MAX: Final = 160

# Repeated ids and keys that the second pass confirms one by one.
REPEATS_MAX: Final = 10_000

# Tool calls that wait for their result at one moment, over all chains of one input.
OPEN_ROUNDTRIPS_MAX: Final = 50_000

# Issuers without a key that a report names one by one.
STRANGERS_MAX: Final = 1000

# A PEM key is under 200 bytes; whatever is larger is something else.
KEY_FILE_BYTES_MAX: Final = 16 * 1024

# A trust file of some thousand issuers.
TRUST_FILE_BYTES_MAX: Final = 1024 * 1024

# Keys that one verification may try for one issuer: each costs a signature check.
KEYS_PER_ISSUER_MAX: Final = 16

# One response body that is supplied to be checked against its hash.
RESPONSE_BYTES_MAX: Final = 16 * 1024 * 1024

# Values in one response body: lists of numbers are usual there.
RESPONSE_VALUES_MAX: Final = 1024 * 1024

# Threads that verify signatures. Parsing holds the interpreter lock: more do not help.
WORKERS_MAX: Final = 64

# Receipts on their way through the workers at one moment: 7000 usual ones, or 8 of the largest.
WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024

# Plaintext of one disclosure envelope; base64 of it must still fit into a receipt.
DISCLOSURE_BYTES_MAX: Final = 512 * 1024

# Receipts that a chain holds in line for an emitter that fails for now.
UNDELIVERED_MAX: Final = 10_000

# Calls of one chain from asyncio that have a thread at a time; more wait for one of these.
ASYNC_CALLS_MAX: Final = 32

# Characters of an error text that a receipt carries.
ERROR_CHARS_MAX: Final = 1024

# Characters of a prompt that a receipt carries as a preview.
PREVIEW_CHARS_MAX: Final = 256

# One payload (parameters or response) that is hashed for a receipt.
PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024

# Parsed PEM strings (by SHA-256 of their text), and judged public keys, that are remembered.
KEY_CACHE_ENTRIES_MAX: Final = 64

# Base58 text that we decode: a did:key has 48, and the work grows with the square.
BASE58_CHARS_MAX: Final = 128

# What AWS KMS signs in one call (MessageType RAW). Larger receipts need a lease.
AWS_KMS_MESSAGE_BYTES_MAX: Final = 4096

# The statement by which a root key lends a chain to a session key: what every service signs.
HAND_OVER_BYTES_MAX: Final = 4096

# Times that one request to a remote signer is made before giving up.
REMOTE_ATTEMPTS_MAX: Final = 10

# All attempts of one request to a remote signer, their pauses included: Lambda starts within 10 s.
REMOTE_DEADLINE_MS_MAX: Final = 60_000

# A session key lives for a day at most: that is how long it may lie in a process's memory.
LEASE_SECONDS_MAX: Final = 24 * 60 * 60

# Receipts that one session key may sign. A chain of this length still verifies in a minute or two.
LEASE_RECEIPTS_MAX: Final = 1_000_000

# A collector's or a proxy's address.
URL_CHARS_MAX: Final = 2048

# A token or API key. Most services refuse request heads above 8 or 16 KiB.
CREDENTIAL_CHARS_MAX: Final = 8192

# A client certificate with its chain, or its key, or an own list of authorities, in PEM.
PEM_BYTES_MAX: Final = 1024 * 1024

# Status line and headers of one answer of a collector; chunk sizes and trailers count too.
ANSWER_HEAD_BYTES_MAX: Final = 16 * 1024

# Body of one answer of a collector: an id, a hash, a promise, or the text of a problem.
ANSWER_BODY_BYTES_MAX: Final = 64 * 1024

# Interim answers (1xx) before the final one.
INTERIM_ANSWERS_MAX: Final = 8

# Characters of a collector's words that an error quotes.
QUOTE_CHARS_MAX: Final = 160

# Connections that one emitter has open at a time; further callers wait for one of them.
CONNECTIONS_MAX: Final = 16

# An idle connection is used again for so long: load balancers commonly close after 60 seconds.
IDLE_MS_MAX: Final = 50_000

# Times that an emitter can be told to send one receipt.
EMIT_ATTEMPTS_MAX: Final = 100

# The longest time that an emitter can be told to wait for anything.
EMIT_WAIT_MS_MAX: Final = 60 * 60 * 1000

# Receipts that wait for a fire-and-forget emitter's one worker.
QUEUED_RECEIPTS_MAX: Final = 10_000

# Failures of a fire-and-forget emitter that it can still name; it counts all of them.
FAILURES_KEPT_MAX: Final = 100

# Receipts that a buffering emitter holds, at 1 MiB each in the worst case.
BUFFERED_RECEIPTS_MAX: Final = 10_000

# What emitters take at the end of a program to deliver what they still hold.
EXIT_FLUSH_MS_MAX: Final = 2000

# One journal is read whole when it is opened.
JOURNAL_BYTES_MAX: Final = 1024 * 1024 * 1024

# A write-ahead log, unless told otherwise: some 40 000 receipts that no collector has taken.
WAL_BYTES_MAX: Final = 64 * 1024 * 1024

# What delivered receipts may take up in the file of a write-ahead log before it is written anew:
# at 1.4 kB each that costs three fsyncs for every 700 receipts.
WAL_SPENT_BYTES_MAX: Final = 1024 * 1024

# Receipts that a write-ahead log remembers, so that it need not read back what it just wrote.
WAL_FRESH_RECEIPTS_MAX: Final = 64

# What the collector said when it refused a receipt, as kept with the dead letter.
DEAD_LETTER_REASON_CHARS_MAX: Final = 500

# One frame of an emitter: the protocol's own bound.
FRAME_BYTES_MAX: Final = 1024 * 1024

# An identity in a frame (session, agent, tool, model, operator …), in bytes of UTF-8: the
# protocol's own bound, here also where it has none.
FRAME_IDENTITY_BYTES_MAX: Final = 256

# A target's path or identifier in a frame, in bytes of UTF-8: the protocol's own bound.
FRAME_RESOURCE_BYTES_MAX: Final = 4096

# An error text or a prompt in a frame, in bytes of UTF-8; the receipt carries far less of it. Whole
# build logs are sent as an error, and refusing one would lose the action with it.
FRAME_TEXT_BYTES_MAX: Final = 512 * 1024

# `usage` of a frame as compact JSON: it goes into the receipt in clear. Real ones take 500 bytes.
FRAME_USAGE_BYTES_MAX: Final = 8 * 1024

# Nesting of `usage` in a frame: three levels of the receipt stand above it.
FRAME_USAGE_DEPTH_MAX: Final = 16

# Characters of a text that are searched for secrets; what is behind them is never shown.
REDACTED_CHARS_MAX: Final = 16 * 1024

# Steps that a pattern for secrets may take at one place of a text before it gives up.
PATTERN_STEPS_MAX: Final = 1024

# A file of patterns for secrets, and the patterns in it: each is searched for in every text.
PATTERN_FILE_BYTES_MAX: Final = 256 * 1024
PATTERNS_MAX: Final = 200

# Characters of a shell command or an SQL text that are classified; a longer one counts as grave.
SCRIPT_CHARS_MAX: Final = 64 * 1024

# Shells within shells (`sh -c`, `$(…)`) that are classified; a deeper one counts as grave.
SCRIPT_DEPTH_MAX: Final = 5

# Arguments of one action, commands of one script and words of one command that are looked at.
ARGUMENTS_MAX: Final = 1000

# What is kept of a control group's path, in characters; container names take under 200.
CGROUP_CHARS_MAX: Final = 512

# Login names that are remembered, by user id.
LOGIN_NAMES_MAX: Final = 4096

# How long a frame waits for the login name of a user that was not seen yet.
LOGIN_WAIT_MS_MAX: Final = 1000

# How long the probe waits that asks whether a socket still has a daemon behind it.
SOCKET_PROBE_MS_MAX: Final = 100

# Path of a Unix socket with its closing zero: what the kernels' `sun_path` holds.
SOCKET_PATH_LINUX_BYTES_MAX: Final = 108
SOCKET_PATH_MACOS_BYTES_MAX: Final = 104

# Action types in one list of a disclosure policy.
DISCLOSED_TYPES_MAX: Final = 256
