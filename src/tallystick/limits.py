# SPDX-License-Identifier: Apache-2.0
"""Every bound of the system: unit last in the name, reason in the comment.

`docs/reference/limits.md` is generated from this file. Names are constants without
`Final`: `typing` costs as much as all the rest of a process that sends one frame.
"""

from __future__ import annotations

# One receipt on the wire. The protocol's collector takes 1 MiB bodies by default.
RECEIPT_BYTES_MAX = 1024 * 1024

# Nesting of arrays and objects in one JSON value. Real receipts stay below 12.
JSON_DEPTH_MAX = 64

# Values in one JSON text, counted as its commas and opening brackets. Real receipts stay below 500;
# a megabyte of `0.5,` or `[[[[]]]],` would cost seconds and over 100 MB.
JSON_VALUES_MAX = 64 * 1024

# Characters of one JSON number. The longest exact double in ES6 form needs 25.
JSON_NUMBER_CHARS_MAX = 64

# Parts of one key in TOML, between its dots; ours need two. A parser takes the square of them.
TOML_KEY_PARTS_MAX = 32

# Largest integer that every IEEE 754 implementation reads alike (I-JSON, RFC 7493).
JSON_INTEGER_MAX = 2**53 - 1

# Characters of an identifier that the verifier keeps (issuer, chain, principal, key method).
IDENTIFIER_CHARS_MAX = 1024

# Chains in one verification, in bytes of state: about 50 000 chains of usual names.
CHAIN_STATE_BYTES_MAX = 64 * 1024 * 1024

# What one chain costs besides its names, in bytes, and its line in the report: measured, see
# tests/systems/test_memory.py.
CHAIN_STATE_BYTES_EACH = 1100

# Findings listed in one report. Those beyond are counted, and still decide the verdict.
FINDINGS_MAX = 1000

# Characters of received text that a finding quotes.
FINDING_TEXT_CHARS_MAX = 160

# Repeated ids and keys that the second pass confirms one by one.
REPEATS_MAX = 10_000

# Tool calls that wait for their result at one moment, over all chains of one input.
OPEN_ROUNDTRIPS_MAX = 50_000

# Issuers without a key that a report names one by one.
STRANGERS_MAX = 1000

# A PEM key is under 200 bytes; whatever is larger is something else.
KEY_FILE_BYTES_MAX = 16 * 1024

# A trust file of some thousand issuers.
TRUST_FILE_BYTES_MAX = 1024 * 1024

# Keys that one verification may try for one issuer: each costs a signature check.
KEYS_PER_ISSUER_MAX = 16

# Earlier keys of a daemon: one rotation a week for twenty years. Each is vouched for by the next.
ARCHIVED_KEYS_MAX = 1024

# The file beside an export that says how each chain ends: 200 000 chains take 50 MiB.
EXPORT_PROOF_BYTES_MAX = 64 * 1024 * 1024

# JSON values in such a file: seven for each chain.
EXPORT_PROOF_VALUES_MAX = 2_000_000

# One response body that is supplied to be checked against its hash.
RESPONSE_BYTES_MAX = 16 * 1024 * 1024

# Values in one response body: lists of numbers are usual there.
RESPONSE_VALUES_MAX = 1024 * 1024

# Processes that check signatures. One process reads for all of them: more do not help.
WORKERS_MAX = 64

# How long a process that checks signatures may do nothing before others do its work. It needs a
# few milliseconds; a busy machine makes it wait.
CHECKER_PATIENCE_MS = 5_000

# Receipts on their way through the workers at one moment: 7000 usual ones, or 8 of the largest. Of
# values that are not bytes the size is known when they are read: 32 of them may be over it.
WINDOW_BYTES_MAX = 8 * 1024 * 1024

# Plaintext of one disclosure envelope; base64 of it must still fit into a receipt.
DISCLOSURE_BYTES_MAX = 512 * 1024

# Receipts that a chain holds in line for an emitter that fails for now.
UNDELIVERED_MAX = 10_000

# Calls of one chain from asyncio that have a thread at a time; more wait for one of these.
ASYNC_CALLS_MAX = 32

# Characters of an error text that a receipt carries.
ERROR_CHARS_MAX = 1024

# Characters of a prompt that a receipt carries as a preview.
PREVIEW_CHARS_MAX = 256

# One payload (parameters or response) that is hashed for a receipt.
PAYLOAD_BYTES_MAX = 16 * 1024 * 1024

# Parsed PEM strings (by SHA-256 of their text), and judged public keys, that are remembered.
KEY_CACHE_ENTRIES_MAX = 64

# Base58 text that we decode: a did:key has 48, and the work grows with the square.
BASE58_CHARS_MAX = 128

# What AWS KMS signs in one call (MessageType RAW). Larger receipts need a lease.
AWS_KMS_MESSAGE_BYTES_MAX = 4096

# The statement by which a root key lends a chain to a session key: what every service signs.
HAND_OVER_BYTES_MAX = 4096

# Times that one request to a remote signer is made before giving up.
REMOTE_ATTEMPTS_MAX = 10

# All attempts of one request to a remote signer, their pauses included: Lambda starts within 10 s.
REMOTE_DEADLINE_MS_MAX = 60_000

# One answer of Vault's transit engine: a key with its versions, 200 bytes each.
VAULT_ANSWER_BYTES_MAX = 1024 * 1024

# A session key lives for a day at most: that is how long it may lie in a process's memory.
LEASE_SECONDS_MAX = 24 * 60 * 60

# Receipts that one session key may sign. A chain of this length still verifies in a minute or two.
LEASE_RECEIPTS_MAX = 1_000_000

# A collector's or a proxy's address.
URL_CHARS_MAX = 2048

# A token or API key. Most services refuse request heads above 8 or 16 KiB.
CREDENTIAL_CHARS_MAX = 8192

# A client certificate with its chain, or its key, or an own list of authorities, in PEM.
PEM_BYTES_MAX = 1024 * 1024

# Status line and headers of one answer of a collector; chunk sizes and trailers count too.
ANSWER_HEAD_BYTES_MAX = 16 * 1024

# Body of one answer of a collector: an id, a hash, a promise, or the text of a problem.
ANSWER_BODY_BYTES_MAX = 64 * 1024

# Interim answers (1xx) before the final one.
INTERIM_ANSWERS_MAX = 8

# Characters of a collector's words that an error quotes.
QUOTE_CHARS_MAX = 160

# Connections that one emitter has open at a time; further callers wait for one of them.
CONNECTIONS_MAX = 16

# An idle connection is used again for so long: load balancers commonly close after 60 seconds.
IDLE_MS_MAX = 50_000

# Times that an emitter can be told to send one receipt.
EMIT_ATTEMPTS_MAX = 100

# The longest time that an emitter can be told to wait for anything.
EMIT_WAIT_MS_MAX = 60 * 60 * 1000

# Receipts that wait for a fire-and-forget emitter's one worker.
QUEUED_RECEIPTS_MAX = 10_000

# Failures of a fire-and-forget emitter that it can still name; it counts all of them.
FAILURES_KEPT_MAX = 100

# Receipts that a buffering emitter holds, at 1 MiB each in the worst case.
BUFFERED_RECEIPTS_MAX = 10_000

# What emitters take at the end of a program to deliver what they still hold.
EXIT_FLUSH_MS_MAX = 2000

# One journal is read whole when it is opened.
JOURNAL_BYTES_MAX = 1024 * 1024 * 1024

# A write-ahead log, unless told otherwise: some 40 000 receipts that no collector has taken.
WAL_BYTES_MAX = 64 * 1024 * 1024

# What delivered receipts may take up in the file of a write-ahead log before it is written anew:
# at 1.4 kB each that costs three fsyncs for every 700 receipts.
WAL_SPENT_BYTES_MAX = 1024 * 1024

# Receipts that a write-ahead log remembers, so that it need not read back what it just wrote.
WAL_FRESH_RECEIPTS_MAX = 64

# What the collector said when it refused a receipt, as kept with the dead letter.
DEAD_LETTER_REASON_CHARS_MAX = 500

# One frame of an emitter: the protocol's own bound.
FRAME_BYTES_MAX = 1024 * 1024

# An identity in a frame (session, agent, tool, model, operator …), in bytes of UTF-8: the
# protocol's own bound, here also where it has none.
FRAME_IDENTITY_BYTES_MAX = 256

# A target's path or identifier in a frame, in bytes of UTF-8: the protocol's own bound.
FRAME_RESOURCE_BYTES_MAX = 4096

# An error text or a prompt in a frame, in bytes of UTF-8; the receipt carries far less of it. Whole
# build logs are sent as an error, and refusing one would lose the action with it.
FRAME_TEXT_BYTES_MAX = 512 * 1024

# `usage` of a frame as compact JSON: it goes into the receipt in clear. Real ones take 500 bytes.
FRAME_USAGE_BYTES_MAX = 8 * 1024

# Nesting of `usage` in a frame: three levels of the receipt stand above it.
FRAME_USAGE_DEPTH_MAX = 16

# Characters of a text that are searched for secrets; what is behind them is never shown.
REDACTED_CHARS_MAX = 16 * 1024

# Texts of frames that are remembered because they hold nothing to redact: names, mostly.
CLEAN_TEXTS_MAX = 4096

# Characters of such a text: longer ones hardly come again.
CLEAN_TEXT_CHARS_MAX = 256

# Steps that a pattern for secrets may take at one place of a text before it gives up.
PATTERN_STEPS_MAX = 1024

# A file of patterns for secrets.
PATTERN_FILE_BYTES_MAX = 256 * 1024

# Patterns in such a file: each is searched for in every text.
PATTERNS_MAX = 200

# Characters of a shell command or an SQL text that are classified; a longer one counts as grave.
SCRIPT_CHARS_MAX = 64 * 1024

# Shells within shells (`sh -c`, `$(…)`) that are classified; a deeper one counts as grave.
SCRIPT_DEPTH_MAX = 5

# Arguments of one action, commands of one script and words of one command that are looked at.
ARGUMENTS_MAX = 1000

# What is kept of a control group's path, in characters; container names take under 200.
CGROUP_CHARS_MAX = 512

# Login names that are remembered, by user id.
LOGIN_NAMES_MAX = 4096

# How long a frame waits for the login name of a user that was not seen yet.
LOGIN_WAIT_MS_MAX = 1000

# How long the probe waits that asks whether a socket still has a daemon behind it.
SOCKET_PROBE_MS_MAX = 100

# How long an end waits for who binds at its socket's path: some probes. Whoever may look into the
# folder could lock it forever, and then the path is taken away without.
SOCKET_LOCK_MS_MAX = 500

# Path of a Unix socket with its closing zero: what the kernels' `sun_path` holds.
SOCKET_PATH_LINUX_BYTES_MAX = 108

# The same on macOS.
SOCKET_PATH_MACOS_BYTES_MAX = 104

# Action types in one list of a disclosure policy.
DISCLOSED_TYPES_MAX = 256

# Leaves of one log: what fits into a signed 64-bit integer, in every language and database.
TREE_SIZE_MAX = 2**63 - 1

# One signed note: a sheet, a checkpoint or a promise. 16 post-quantum cosignatures need 53 kB.
NOTE_BYTES_MAX = 128 * 1024

# Signature lines of one note. The specification asks for 16 at least.
NOTE_SIGNATURES_MAX = 100

# Name of a key in a note, and origin of a log: one byte tells its length in a cosignature.
NOTE_NAME_BYTES_MAX = 255

# Name of a tenant: it stands in every key of a store.
TENANT_CHARS_MAX = 64

# Tokens of one service; its file is read whole, and again when it changes.
TOKENS_MAX = 10_000

# The file of that many tokens.
TOKENS_FILE_BYTES_MAX = 8 * 1024 * 1024

# A configuration file of a service.
SETTINGS_FILE_BYTES_MAX = 1024 * 1024

# The largest body that a collector can be told to take: it is held in memory.
BODY_BYTES_MAX = 64 * 1024 * 1024

# One batch of receipts: 16 of the largest, or 10 000 usual ones.
BATCH_BODY_BYTES_MAX = 16 * 1024 * 1024

# Receipts of one batch, which one commit makes durable.
BATCH_RECEIPTS_MAX = 10_000

# Lines of a batch from which on its parts go to the parser process: below, asking costs more.
PARSER_LINES_MIN = 64

# How long the parser process may do nothing before the collector parses itself. The slowest line of
# 1 MiB, of numbers and names that need the slow canonical form, takes it a second; a busy machine
# makes it wait.
PARSER_PATIENCE_MS = 4_000

# After one was lost, the next parser process is not started earlier.
PARSER_PAUSE_MS = 60_000

# Parts of batches that may wait for the parser process: some 60 milliseconds of its work. The
# collector parses those beyond itself.
PARSER_PORTIONS_MAX = 64

# The bytes of all of them, beside the bodies that they are cut from.
PARSER_BYTES_MAX = 8 * 1024 * 1024

# What the parser process may answer to one part: 64 lines with the longest names.
PARSER_ANSWER_BYTES_MAX = 4 * 1024 * 1024

# Parts in a row of which the collector parses no line itself, to see whether it finds the same; of
# a process that has just begun it does so for as many.
PARSER_UNCHECKED_MAX = 7

# The largest line that is compared so: most receipts are smaller.
PARSER_CHECKED_BYTES_MAX = 4096

# What a companion's pipe holds, where the system lets it: by itself it is less than one part.
COMPANION_PIPE_BYTES = 1024 * 1024

# Request line and headers of one request: as much as most services take.
REQUEST_HEAD_BYTES_MAX = 16 * 1024

# Headers of one request. Proxies add some ten.
REQUEST_HEADERS_MAX = 64

# From the first byte of a request, or of its TLS handshake, to the end of its head.
REQUEST_HEAD_MS_MAX = 10_000

# From the end of the head to the end of the body; 1 MiB in it is 0.8 Mbit/s.
REQUEST_BODY_MS_MAX = 10_000

# A client that takes nothing of an answer for so long is gone.
ANSWER_STALL_MS_MAX = 10_000

# A connection without a request is kept for so long: longer than clients keep one.
KEEP_ALIVE_MS_MAX = 65_000

# Connections of one service; each further one is told to come back.
SERVED_CONNECTIONS_MAX = 2048

# Bodies under way at one moment, over all connections: parsed they take up some five times as much.
# One tenant holds at most three times what it leaves to others, or one body.
BODIES_BYTES_MAX = 64 * 1024 * 1024

# The body of a post that a connection collects before anything is decided about it: 32 MiB where
# all connections do so at once. A longer one is read by the application.
POST_BYTES_MAX = 16 * 1024

# Reads of the store at one moment; each holds a page.
READERS_MAX = 8

# Receipts of a chain that are read from the store at once.
READ_PAGE_RECEIPTS_MAX = 32

# A page ends with the receipt that reaches so many bytes: each answer under way holds one.
READ_PAGE_BYTES_MAX = 256 * 1024

# Chains in one page of the list.
CHAINS_PAGE_MAX = 1000

# Tenants whose rate is remembered; the one that was idle the longest is forgotten first.
RATED_TENANTS_MAX = 10_000

# Work that is let to end when a service is told to: longer than any platform waits before it kills.
DRAIN_MS_MAX = 10 * 60 * 1000

# Full tiles of a log that are kept in memory, at 8 KiB each.
TILES_CACHED_MAX = 1024

# One resource of somebody else's log: a bundle of 256 of our entries has 23 kB, a note far less.
LOG_RESOURCE_BYTES_MAX = 256 * 1024

# New leaf hashes that a monitor holds between two checkpoints, at 32 bytes each.
MONITOR_LEAVES_MAX = 1024 * 1024

# Promises that a monitor watches over at a time.
MONITOR_PROMISES_MAX = 10_000

# Time from a promise to the checkpoint that must hold it: also how far back a log can date an entry
# without any file that would prove it.
PROMISE_DELAY_MS_MAX = 60 * 60 * 1000

# A promise or a proof of inclusion: a note, and 63 hashes of a path at most.
LOG_PROOF_BYTES_MAX = NOTE_BYTES_MAX + 8 * 1024

# How long a bundle waits for the proof that its receipts are in a log: checkpoints are made every
# second, and promised within a minute where nothing else is set.
LOG_PROOF_WAIT_MS_MAX = 60_000

# How long all receipts of a run may take into a log, with their proofs, besides what each may take.
LOGGED_RUN_MS_MAX = 5 * 60 * 1000

# What each of them may take in the long run: two requests to a collector at the end of the world.
LOGGED_RECEIPT_MS_MAX = 500

# Time between two questions for that proof.
LOG_PROOF_PAUSE_MS = 200

# Hashes of one path: a tree of TREE_SIZE_MAX leaves has 63 levels, and consistency needs one more.
PATH_HASHES_MAX = 64

# One piece of evidence against a log: two notes, two promises and two paths need under 20 kB.
FRAUD_BYTES_MAX = 64 * 1024

# How long SQLite waits for a lock that another reader of the file holds.
SQLITE_BUSY_MS = 5000

# Pages that one connection to SQLite keeps in memory. A commit touches few of them twice.
SQLITE_CACHE_BYTES = 16 * 1024 * 1024

# What SQLite's write-ahead log holds before it goes to the file: some 40 000 receipts that came in
# batches. The commit that finds it full does that, while all others wait.
SQLITE_WAL_BYTES_MAX = 64 * 1024 * 1024

# Bytes of one column that are given to SQLite as one value, which it copies once more; what is
# larger goes row by row.
PACKED_BYTES_MAX = 8 * 1024 * 1024

# Bytes by which that log is made longer at once, ahead of what is written into it: some ten
# milliseconds of the disk's time, once for a hundred commits, each of which then takes less.
SQLITE_WAL_ROOM_BYTES = 4 * 1024 * 1024

# How long a store that another process holds is asked for again: of one that was killed while it
# began another process, the locks go some milliseconds later.
SQLITE_LOCK_WAIT_MS = 200

# Entries whose keys are held in memory before they are written as one sorted run.
INDEX_SEGMENT_ENTRIES = 32 * 1024

# The filter that says which run may hold an id, at 5 bytes for each entry. Older runs go without
# one: slower, but right.
KEY_FILTER_BYTES_MAX = 512 * 1024 * 1024

# Chains that a store knows by name without asking its database.
CHAIN_NAMES_KEPT_MAX = 16 * 1024

# Leaves that one transaction adds to the tree: a second's work of a busy log, a fraction of one's.
INTEGRATED_LEAVES_MAX = 64 * 1024

# Receipts under one id that a store lists.
SAME_ID_MAX = 1000

# What a monitor remembers of one log: its sheet, its newest checkpoint, an edge of 63 hashes.
MONITOR_STATE_BYTES_MAX = 512 * 1024

# Receipts that share one commit and one promise: their paths have 10 hashes.
COMMIT_ITEMS_MAX = 1024

# What they may weigh together: one fsync of this takes some tens of milliseconds.
COMMIT_BYTES_MAX = 8 * 1024 * 1024

# Frames of the daemon that share one commit: the next are drafted while it is written.
DRAFTED_FRAMES_MAX = 512

# The same where a signer elsewhere is asked for each: between two commits the daemon tells its
# manager that it lives.
SIGNED_ELSEWHERE_FRAMES_MAX = 64

# Fewer than so many, where no other waits, are drafted and written by one thread: to change it
# costs more.
ALONE_FRAMES_MAX = 16

# Such a few may weigh so much, or they are drafted beside the thread that reads: it is to be away
# from the sockets for no longer than a commit takes.
ALONE_BYTES_MAX = 16 * 1024

# Where that keeps the thread for longer, another one goes on at the sockets. It looks this
# often while there is traffic, and four times in a second else.
AWAY_MS_MAX = 20

# For so long it looks on after it has answered, before it sleeps: the next call of one that calls
# again and again mostly comes by then. To be woken costs as much, and leaves caches cold.
AWAKE_US_MAX = 100

# What nobody waits for may wait so long for a frame that somebody waits for: one fsync does for
# both, where a call that follows on another one's answer would wait for two. For so much longer a
# daemon that is killed takes it along; the commit itself takes about as long.
UNASKED_WAIT_MS_MAX = 5

# While the rows of so few receipts are written the loop steps back, since two threads that take
# turns at every statement lose more time than that.
STEPPED_BACK_ITEMS_MAX = 64

# The longest that it does so: a disk or a lock that takes its time keeps no connection waiting.
STEPPED_BACK_MS_MAX = 5

# Receipts that wait for a commit; what comes then is told to come back.
WAITING_ITEMS_MAX = 4096

# What they may weigh together.
WAITING_BYTES_MAX = 64 * 1024 * 1024

# Signed promises that a collector remembers: each serves all receipts of one commit.
PROMISES_CACHED_MAX = 256

# How long a reader waits for the next bytes of a collector.
REMOTE_READ_MS_MAX = 30_000

# One page of a collector's list of chains, as a reader takes it.
REMOTE_PAGE_BYTES_MAX = 16 * 1024 * 1024

# How long a connection to PostgreSQL may take.
POSTGRES_CONNECT_MS = 5000

# How long a transaction waits for the log's head, which others hold for milliseconds.
POSTGRES_LOCK_MS = 10_000

# A transaction that does nothing for so long is ended by the server: its process hangs.
POSTGRES_IDLE_MS = 10_000

# Connections on which one process reads; a server allows 100 in all by default.
POSTGRES_READERS_MAX = 8

# Receipts of a log that are compared with the input one by one, at about 300 bytes each.
LOG_HELD_RECEIPTS_MAX = 200_000

# Faults of a store that are listed: where there are so many, it is the first that counts.
FSCK_FAULTS_MAX = 100

# Requests of one connection that wait for an answer before them: parsed, each takes up some 3 kB.
PIPELINED_REQUESTS_MAX = 64

# File descriptors that connections leave to the store, the guard, tokens and logs.
FILES_RESERVED = 128

# Connections of emitters that the daemon has open at a time; further ones wait in the
# kernel's line.
EMITTERS_MAX = 4096

# Connections that are taken before those that are there already get their turn.
ACCEPTS_PER_TURN_MAX = 64

# From the first byte of a frame to its last. Emitters give up writing after 100 ms.
FRAME_MS_MAX = 10_000

# An emitter's connection without a frame: agents wait for people, and many emitters lose the first
# frame on a connection that was closed.
EMITTER_IDLE_MS_MAX = 24 * 60 * 60 * 1000

# How far the daemon's clock may be behind its last receipt before its doctor warns: small steps
# back are usual, and what is issued meanwhile bears the moment of that receipt.
CLOCK_BEHIND_MS_MAX = 60_000

# An idle connection keeps its place for so long where another one needs it.
IDLE_BEFORE_EVICTION_MS_MAX = 60_000

# Frames of all emitters that wait to be stored: about a second's work. More are not read.
HELD_FRAMES_MAX = 8192

# Bytes of these, and of frames that are not whole yet.
HELD_BYTES_MAX = 64 * 1024 * 1024

# What one waiting frame counts besides its bytes: also a frame of one byte costs memory and time.
FRAME_WEIGHT_BYTES_EACH = 256

# Answers that one emitter has not taken; until it does, its frames are not read.
ANSWERS_UNSENT_BYTES_MAX = 256 * 1024

# How long no connection is taken after the system had no descriptor for one.
DESCRIPTOR_PAUSE_MS_MAX = 100

# Frames that come in at once from which on the drafting process states them: below, asking costs
# more.
DRAFT_FRAMES_MIN = 16

# The largest portion of frames that goes to it: what comes in at once has 64 KiB, or is one large
# frame.
DRAFT_PORTION_BYTES_MAX = 256 * 1024

# Portions that may wait for it. The daemon states the frames of those beyond itself.
DRAFT_PORTIONS_MAX = 64

# How long it may do nothing, and a quarter more, before the daemon states those frames itself; and
# a quarter of how long it may take to begin.
DRAFT_PATIENCE_MS = 4_000

# After one was lost, the next drafting process is not started earlier.
DRAFT_PAUSE_MS = 60_000

# What it may answer to one portion: statements of small frames with the longest names.
DRAFT_ANSWER_BYTES_MAX = 32 * 1024 * 1024

# Of so many portions and one more the daemon states a frame of one itself, drawn by chance, to see
# whether it states the same; of a process that has just begun, of each of as many.
DRAFT_UNCHECKED_MAX = 7

# Portions in a row, mostly of frames that it can't state, up to which each doubles how many of that
# connection are not handed over: 127 at most.
ODD_PORTIONS_MAX = 7

# The largest frame that is compared so: most are smaller.
DRAFT_CHECKED_BYTES_MAX = 4096

# Descriptors that the daemon needs besides those of emitters: store, logs, status, /proc.
OWN_DESCRIPTORS_MAX = 64

# Commits whose time is remembered for the daemon's status.
COMMITS_TIMED_MAX = 1024

# A request on the status socket, and its answer.
STATUS_BYTES_MAX = 64 * 1024

# Connections to the status socket at a time.
STATUS_CONNECTIONS_MAX = 16

# How long one of them may take.
STATUS_MS_MAX = 5000

# How long an emitter tries to connect to the daemon, also while its queue of connections is full.
EMITTER_DIAL_MS_MAX = 250

# How long an emitter tries to write one frame: a daemon that hangs must not hang the agent.
EMITTER_WRITE_MS_MAX = 100

# How long an emitter that asked for it waits for the word that a receipt is stored.
EMITTER_ANSWER_MS_MAX = 10_000

# Frames that `emit_many` sends ahead of their answers: those of as many fit into a socket.
EMITTER_UNANSWERED_MAX = 256

# Frames in a spool directory: a day of a busy agent without a daemon.
SPOOL_FRAMES_MAX = 100_000

# What all of them may weigh.
SPOOL_BYTES_MAX = 256 * 1024 * 1024

# What one `emit` spends on frames that wait in the spool directory, behind its own.
SPOOL_FLUSH_MS_MAX = 100

# Reasons for which frames were lost that one receipt tells apart: three times as many as there are.
LOSS_REASONS_MAX = 64

# The file of heads beside the daemon's key. It is written anew long before it is that large.
HEADS_BYTES_MAX = 64 * 1024 * 1024

# What that file may hold of heads that are no longer the last before it is written anew.
HEADS_SPENT_BYTES_MAX = 1024 * 1024

# A parameter or a result as a frame holds it: two of them, and an error text, fit into one frame.
FRAME_PAYLOAD_BYTES_MAX = 448 * 1024

# Receipts that are read from a ledger at once.
LEDGER_PAGE_ROWS_MAX = 1000

# What a page of them may weigh: after a heavier one, fewer are asked for.
LEDGER_PAGE_BYTES_MAX = 8 * 1024 * 1024

# A unit file that `tally daemon install` looks at; ours have 4 kB.
UNIT_BYTES_MAX = 64 * 1024

# One chain that is imported beside a store, held in memory once: 150 000 receipts.
IMPORTED_CHAIN_BYTES_MAX = 256 * 1024 * 1024

# Pause between two tries of the daemon to reach a signer that is away for now.
SIGNER_PAUSE_MS_MAX = 4000

# How long a frame out of the spool directory waits for its answer; the agent waits with it.
SPOOL_ANSWER_MS_MAX = 2000

# How long an emitter leaves the spool directory alone after the daemon failed to take from it.
SPOOL_PAUSE_MS = 30_000

# What an EVM key signs at once, a message or a transaction's data: nodes take 128 KiB.
EVM_STATEMENT_BYTES_MAX = 128 * 1024

# Structs that typed data (EIP-712) may declare; orders of exchanges have under ten.
TYPED_DATA_STRUCTS_MAX = 64

# Levels that the values of typed data may nest.
TYPED_DATA_DEPTH_MAX = 16

# A keystore file (version 3); usual ones have 500 bytes.
KEYSTORE_BYTES_MAX = 16 * 1024

# Memory that scrypt may take for a keystore (128 · N · r): the usual N = 2^18, r = 8 takes 256 MiB.
KEYSTORE_SCRYPT_BYTES_MAX = 512 * 1024 * 1024

# Work that scrypt may do (N · r · p): twice the usual 2^18 · 8 · 1, which takes a second.
KEYSTORE_SCRYPT_WORK_MAX = 1 << 22

# Rounds of PBKDF2 for a keystore: fifteen times the usual 262 144, some seconds of work.
KEYSTORE_PBKDF2_ROUNDS_MAX = 4_000_000

# Rounds of PBKDF2 below which a guess costs too little to protect anything.
KEYSTORE_PBKDF2_ROUNDS_MIN = 100_000

# scrypt's cost (N · r) below which a guess costs too little: a quarter of the usual "light" 2^12·8.
KEYSTORE_SCRYPT_COST_MIN = 1 << 13

# A password in a file or from a descriptor.
PASSWORD_BYTES_MAX = 4096

# A signer's URI.
SIGNER_URI_CHARS_MAX = 2048

# A manifest, which a dispute shows to a contract as calldata; longer lists of artefacts lie beside.
MANIFEST_BYTES_MAX = 16 * 1024

# One intent as it is handed in: inputs of a job type are texts and numbers, files are named in it.
INTENT_BYTES_MAX = 16 * 1024 * 1024

# Values in one intent: inputs may be a table of some ten thousand rows.
INTENT_VALUES_MAX = 1024 * 1024

# Characters of a job type.
JOB_TYPE_CHARS_MAX = 64

# Acceptance criteria of one intent.
INTENT_CRITERIA_MAX = 256

# Entries in each list of a policy: an organisation's requesters.
POLICY_ENTRIES_MAX = 10_000

# The largest inputs that a policy may allow, in MB: no more than an intent has.
POLICY_ARTIFACT_MB_MAX = 1024

# Artefacts of one run. Their list takes 20 MB for 100 000 files.
ARTIFACTS_MAX = 250_000

# One artefact: what eleven octal digits of a tar header tell.
ARTIFACT_BYTES_MAX = 8**11 - 1

# All artefacts of one run together.
ARTIFACTS_BYTES_MAX = 1024 * 1024 * 1024 * 1024

# Path of an artefact from the run's directory on, in bytes of UTF-8.
ARTIFACT_PATH_BYTES_MAX = 768

# One name in such a path: what file systems take.
ARTIFACT_NAME_BYTES_MAX = 255

# Names in such a path.
ARTIFACT_DEPTH_MAX = 64

# One entry of the list in canonical form: a contract hashes it in one call.
ARTIFACT_ENTRY_BYTES_MAX = 1024

# The list of artefacts where it lies outside of the manifest; held in memory while it is checked.
ARTIFACT_LIST_BYTES_MAX = 64 * 1024 * 1024

# Reasons of one decision: the gate has fewer checks than that.
REASONS_MAX = 16

# One reason in a manifest, in bytes of UTF-8; all of them fit into it.
REASON_BYTES_MAX = 256

# The error of a run in a manifest, in bytes of UTF-8.
RUN_ERROR_BYTES_MAX = 512

# Facts that a runner adds to a manifest, and those that tell of its sandbox.
DETAILS_MAX = 16

# One of these facts, in bytes of UTF-8.
DETAIL_BYTES_MAX = 128

# Signatures beside a manifest: one of each kind, and those of who countersigns.
MANIFEST_SIGNATURES_MAX = 16

# The file of these signatures.
SIGNATURES_FILE_BYTES_MAX = 16 * 1024

# Receipts of one run inside a bundle: some 45 000. They are held in memory while they are checked.
BUNDLE_RECEIPTS_BYTES_MAX = 64 * 1024 * 1024

# What is read of an artefact at a time.
ARTIFACT_CHUNK_BYTES = 256 * 1024

# A proof that one artefact is in a manifest: a manifest, its signatures and a path.
ARTIFACT_PROOF_BYTES_MAX = 64 * 1024

# One of the solver's files of records, where it is read as a whole: the states of a run, or the
# runs of an intent, of which each one is at most 200 bytes but for its facts.
SOLVER_RECORDS_BYTES_MAX = 16 * 1024 * 1024

# Runs of one intent, of which at most one is started: each refusal leaves a bundle on disk, and all
# of them are looked at when it is asked for again.
INTENT_ATTEMPTS_MAX = 100

# The end of such a file, where only its last line is wanted.
SOLVER_RECORD_TAIL_BYTES = 64 * 1024

# What a runner's program may write to its standard output, and as much again to the error one.
RUNNER_OUTPUT_BYTES_MAX = 16 * 1024 * 1024

# How long a program may run where its job type says nothing.
RUNNER_UNTOLD_MS_MAX = 10 * 60 * 1000

# How long any program may run: a day.
RUNNER_MS_MAX = 24 * 60 * 60 * 1000

# How long the pipes of a program that has ended are read: whoever holds them is no part of it.
RUNNER_LINGER_MS_MAX = 1000

# What a launcher says of what it has put in force.
RUNNER_STATUS_BYTES_MAX = 16 * 1024

# Arguments of a program, and names in its environment allowlist.
RUNNER_ARGUMENTS_MAX = 256

# Runs of one solver at a time; each has a process of its own.
SOLVER_CONCURRENCY_MAX = 64

# Intents that wait for their run in one service, each up to 16 MiB on disk and not in memory.
SOLVER_QUEUE_MAX = 10_000

# The receipts of one run, as the bundle has room for them.
RUN_RECEIPTS_BYTES_MAX = 64 * 1024 * 1024

# How long a run whose evidence could not be finished waits before a service takes it up again.
SOLVER_RETRY_MS = 30_000

# How long a service waits at most before it looks again at a post whose window is open. One answer
# of a node whose time is wrong would otherwise keep the post from its end.
OPEN_POST_WAIT_MS_MAX = 60 * 60 * 1000

# One message of an MCP client or server, in one line. The TypeScript SDK reads up to 10 MiB.
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

# Values in one such message: lists of numbers are usual in results.
MESSAGE_VALUES_MAX = 1024 * 1024

# Characters of a request's id; real ones are numbers, or have under 40.
MESSAGE_ID_CHARS_MAX = 1024

# One event that a host gives to the hook on standard input. What is larger goes along by its hash
# alone, without being read as JSON; what is smaller is parsed, in 100 MB at the worst.
HOOK_INPUT_BYTES_MAX = 16 * 1024 * 1024

# How long the hook waits for the daemon's word that the receipt is stored. Then it spools.
HOOK_ANSWER_MS_MAX = 2000

# How long the hook waits for the end of its standard input: the agent waits with it.
HOOK_INPUT_S_MAX = 8

# How long it then tries to deliver or keep what it read. Each step has a bound of its own; this one
# is for a machine that is so busy, or a disk so slow, that nobody else gets on either.
HOOK_DELIVERY_S_MAX = 45

# What the hook reads of a transcript, from its end: a call of a tool stands in the last lines.
TRANSCRIPT_TAIL_BYTES_MAX = 256 * 1024

# A rules file of the MCP proxy.
RULES_FILE_BYTES_MAX = 256 * 1024

# Rules in such a file: each is asked about every call.
RULES_MAX = 500

# Nesting in a rules file; ours needs five levels.
RULES_FILE_DEPTH_MAX = 8

# Globs in one list of a rule.
RULE_PATTERNS_MAX = 100

# Steps of one JSON path in a rule.
RULE_PATH_STEPS_MAX = 16

# Characters of one text that rules look at: a longer one counts as found by what holds back.
RULE_TEXT_CHARS_MAX = 1024 * 1024

# Values of one call's arguments that rules look at; likewise.
RULE_VALUES_MAX = 64 * 1024

# Characters of a rule's reason, or of an approver's.
RULE_REASON_CHARS_MAX = 1024

# Calls that one rate may allow: the time of each is kept.
RULE_RATE_CALLS_MAX = 10_000

# The longest time that a rate looks back.
RULE_RATE_SECONDS_MAX = 24 * 60 * 60

# A configuration file of an agent's host that is read and edited; some keep whole histories.
CLIENT_CONFIG_BYTES_MAX = 32 * 1024 * 1024

# What hosts are told to give the hook before they go on without it; it ends itself before that.
HOOK_HOST_S_MAX = 60

# Calls of one MCP session that wait for an answer, and its other requests that do: agents have
# under a hundred.
CALLS_OPEN_MAX = 4096

# What the messages of those calls may weigh together.
CALLS_OPEN_BYTES_MAX = 64 * 1024 * 1024

# How long the next call waits until one of these is answered; then it is refused.
CALLS_ROOM_MS_MAX = 5_000

# Ids of calls whose answer has come: another answer under one of them is told of.
CALLS_ANSWERED_MAX = 1024

# Unfinished states and tasks of MCP calls that are remembered; the oldest is forgotten first.
CALLS_LINKED_MAX = 1024

# Calls that wait for an approver at one moment, alone or in a batch; each holds its message.
PAUSED_CALLS_MAX = 64

# What the messages of those calls may weigh together.
PAUSED_BYTES_MAX = 32 * 1024 * 1024

# Calls whose receipts are waited for at one moment: what comes together shares a commit.
ATTESTING_THREADS_MAX = 8

# Characters of a call's arguments that an approver is shown.
APPROVAL_SHOWN_CHARS_MAX = 4000

# How long a call waits for an approver, unless told otherwise; then it is denied.
APPROVAL_WAIT_SECONDS_MAX = 300

# How long a server may go on after its client has left; then it is told to end.
SERVER_END_MS_MAX = 30_000

# From telling a server to end to killing it: clients kill a proxy after two seconds.
SERVER_KILL_MS_MAX = 1_500

# How long the output of a server that has ended is waited for, where a child of it holds the pipe.
SERVER_DRAIN_MS_MAX = 500

# How long a call waits for the daemon's word that its receipt is stored, where it has to have one.
ATTEST_ANSWER_MS_MAX = 5_000

# Connections to a proxy's approval API at a time.
APPROVAL_CONNECTIONS_MAX = 8

# The body of one decision.
APPROVAL_BODY_BYTES_MAX = 8 * 1024

# How long one request of an approver may take.
APPROVAL_REQUEST_MS_MAX = 5000

# A file that says where an approval API is.
APPROVAL_PLACE_BYTES_MAX = 4096

# The list of what waits for an approver: PAUSED_CALLS_MAX calls as they are shown.
APPROVAL_ANSWER_BYTES_MAX = 4 * 1024 * 1024

# A file of recorded calls that rules are tried on.
RECORDED_CALLS_BYTES_MAX = 64 * 1024 * 1024

# How long an emitter takes a spool directory for empty that it has just seen empty.
SPOOL_LOOK_MS = 500

# How long a call waits until a busy daemon takes its frame: calls are held up, and none is spooled.
ATTEST_WRITE_MS_MAX = 1_000

# Chains of agents that may be open below one root: past it the root and its chains are closed, in
# one transaction of two seconds, and the next root begins. A busy day has hundreds.
AGENT_CHAINS_MAX = 4 * 1024

# How far behind the head a transaction may be asked to lie before it counts.
CONFIRMATIONS_MAX = 1000

# Blocks that one search for events asks a node for; common nodes refuse more than 10 000.
LOG_BLOCKS_MAX = 5000

# Blocks that one search for events goes through, with a hundred thousand questions: the fastest
# chains make as many in four years. A node may tell of a head that never was.
SEARCHED_BLOCKS_MAX = 500_000_000

# The journal of sent transactions of one account: 500 000 usual ones.
SENT_BYTES_MAX = 512 * 1024 * 1024

# What a solver keeps of one signed post: a call of about 1 KiB, as JSON.
KEPT_POST_BYTES_MAX = 16 * 1024

# The embedded chain's whole state on disk.
EMBEDDED_BYTES_MAX = 512 * 1024 * 1024

# What a node may send in one answer: the events of 5000 blocks full of posts.
NODE_ANSWER_BYTES_MAX = 32 * 1024 * 1024

# How long one such answer may take to come.
NODE_ANSWER_SECONDS_MAX = 60

# A bundle that is fetched from where a post says it is; larger ones are given as a file.
FETCHED_BYTES_MAX = 256 * 1024 * 1024

# How long one such bundle may take to come.
FETCHED_SECONDS_MAX = 120

# Bundles that a watcher fetches at a time: 2 GiB of the temporary folder where all are the largest.
FETCHES_AT_ONCE_MAX = 8

# How long into a round a watcher begins to fetch bundles; the others have their turn in the next.
FETCHING_SECONDS_MAX = 480

# Blocks that a watcher goes back when the chain was reorganised under its cursor.
REORG_BLOCKS_MAX = 128

# Blocks that a watcher looks through in one round: a minute of questions. The next round goes on.
WATCHED_BLOCKS_MAX = 1_000_000

# Posts whose window is open that a watcher looks at again in each round.
WATCHED_POSTS_MAX = 10_000
