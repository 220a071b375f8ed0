# SPDX-License-Identifier: Apache-2.0
"""Signed notes: the published vectors, and that only one spelling of each passes."""

from __future__ import annotations

import base64
import copy
import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs import LOG_KEY, ORIGIN, PROMISE_KEY, TIME_KEY, WITNESS_KEY, needs_vectors, vectors

from tallystick.crypto.ed25519 import SigningKey
from tallystick.crypto.note import (
    PLAIN,
    TIMED,
    NoteKey,
    VerifierKey,
    name_fault,
    open_note,
    parse_note,
    private_key_text,
    sign_note,
)
from tallystick.errors import KeyFormatError, LogFormatError, NoteSignatureError
from tallystick.limits import NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX, NOTE_SIGNATURES_MAX

TEXT = f"{ORIGIN}\n8\n0SM0thqi8kTxF1TECJZkFVHWTNXHn6D5dg0uwwedGDQ=\n"
NOTE = sign_note(TEXT, [LOG_KEY])
KNOWN = [LOG_KEY.verifier, TIME_KEY.verifier]
LINE = LOG_KEY.line(TEXT)

# Every point of small order as RFC 8032 encodes it, and in encodings that are not canonical.
P = 2**255 - 19
WEAK = [
    *(number.to_bytes(32, "little") for number in (0, 1, P - 1, P, P + 1)),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


# ---- the published vectors


@needs_vectors
@pytest.mark.parametrize(
    ("name", "key"),
    [("log", LOG_KEY), ("time", TIME_KEY), ("promise", PROMISE_KEY), ("witness1", WITNESS_KEY)],
)
def test_published_keys(name: str, key: NoteKey) -> None:
    """Text forms and key ids of public and private keys are the published ones, both ways."""
    row = vectors()["keys"][name]
    assert key.verifier.encode() == row["vkey"]
    assert key.verifier.key_id.hex() == row["key_id"]
    assert VerifierKey.parse(row["vkey"]) == key.verifier
    assert NoteKey.parse(row["skey"]) == key
    assert private_key_text(key.name, key.kind, bytes.fromhex(row["seed"])) == row["skey"]


@needs_vectors
def test_published_checkpoints() -> None:
    """Signing gives the published bytes, with a plain key and with timed ones."""
    published = vectors()["checkpoint"]
    assert published["note"].encode() == NOTE
    text, lines = parse_note(published["fully_signed_note"].encode())
    assert text == TEXT
    time_s = vectors()["cosignature"]["timestamp"]
    keys = [LOG_KEY, TIME_KEY, WITNESS_KEY]
    made = sign_note(TEXT, keys, time_s=time_s)
    assert [line for line in parse_note(made)[1] if line not in lines] == []
    assert vectors()["cosignature"]["w1_line"] == WITNESS_KEY.line(TEXT, time_s)
    note = open_note(published["fully_signed_note"].encode(), [key.verifier for key in keys])
    assert [one.time_s for one in note.signatures] == [None, time_s, time_s]


@needs_vectors
def test_published_notes() -> None:
    """Every published note is opened or refused as published."""
    rows = vectors()["notes"]
    assert len(rows) == 26
    refused = 0
    for row in rows:
        data = base64.b64decode(row["note_base64"])
        known = [VerifierKey.parse(text) for text in row["vkeys"]]
        if row["expect"] == "accept":
            assert open_note(data, known).signatures, row["name"]
        else:
            with pytest.raises(LogFormatError):
                open_note(data, known)
            refused += 1
    assert refused == 21


# ---- opening


def test_a_note_opens_with_its_keys_alone() -> None:
    """Known keys are listed with what they signed; lines of others are passed over."""
    data = sign_note(TEXT, [WITNESS_KEY, LOG_KEY, TIME_KEY], time_s=17)
    note = open_note(data, KNOWN)
    assert note.text == TEXT
    assert [(one.key, one.time_s) for one in note.signatures] == [
        (LOG_KEY.verifier, None),
        (TIME_KEY.verifier, 17),
    ]
    assert note.by(TIME_KEY.verifier) is note.signatures[1]
    assert note.by(WITNESS_KEY.verifier) is None
    with pytest.raises(NoteSignatureError, match="no signature of a known key"):
        open_note(data, [PROMISE_KEY.verifier])
    with pytest.raises(NoteSignatureError):
        open_note(data, [])


def test_half_of_a_key_is_an_unknown_key() -> None:
    """The right name with another key id, or the reverse, counts for nothing."""
    namesake = NoteKey(LOG_KEY.name, PLAIN, SigningKey(seed=b"n" * 32))
    stranger = LINE.replace(ORIGIN, "elsewhere.example/log1")
    with pytest.raises(NoteSignatureError, match="no signature of a known key"):
        open_note(sign_note(TEXT, [namesake]), [LOG_KEY.verifier])
    with pytest.raises(NoteSignatureError, match="no signature of a known key"):
        open_note(f"{TEXT}\n{stranger}".encode(), [LOG_KEY.verifier])


def test_of_one_keys_lines_the_first_counts() -> None:
    """A timed key's second time is not read, by anyone; nor is what follows a good line."""
    data = sign_note(TEXT, [TIME_KEY], time_s=1) + TIME_KEY.line(TEXT, 2).encode()
    assert [one.time_s for one in open_note(data, KNOWN).signatures] == [1]


def test_a_wrong_signature_of_a_known_key_refuses_the_note() -> None:
    """One good signature does not help where another is wrong."""
    wrong = TIME_KEY.line("another text\n", 5)
    with pytest.raises(NoteSignatureError, match="wrong signature"):
        open_note(NOTE + wrong.encode(), KNOWN)
    assert open_note(NOTE + wrong.encode(), [LOG_KEY.verifier]).text == TEXT


def test_a_signed_time_is_part_of_the_signature() -> None:
    """Changing the time that a key signed, or a time of 0 or above 2^63, refuses the note."""
    _, (line,) = parse_note(sign_note(TEXT, [TIME_KEY], time_s=5))
    for time_s in (0, 4, 6, 2**63, 2**64 - 1):
        blob = line.key_id + time_s.to_bytes(8, "big") + line.blob[8:]
        data = f"{TEXT}\n\u2014 {ORIGIN} {base64.b64encode(blob).decode()}\n".encode()
        with pytest.raises(NoteSignatureError):
            open_note(data, KNOWN)


def test_keys_of_one_name_and_id_are_told_apart_or_refused() -> None:
    """Two keys that no line could tell apart are a fault of whoever gave them."""

    class Ground(VerifierKey, frozen=True):
        """A key whose id somebody searched for."""

        @property
        def key_id(self) -> bytes:
            """The log key's."""
            return LOG_KEY.verifier.key_id

    ground = Ground(ORIGIN, TIMED, TIME_KEY.signing_key.public_key)
    with pytest.raises(NoteSignatureError, match="one name and one key id"):
        open_note(NOTE, [LOG_KEY.verifier, ground])
    assert open_note(NOTE, [LOG_KEY.verifier, LOG_KEY.verifier]).text == TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT.encode(),
        f"{TEXT}\n".encode(),
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.replace(b"\n", b"\r\n"),
        NOTE.replace("\u2014".encode(), b"-"),
        NOTE.replace("\u2014 ".encode(), "\u2014  ".encode()),
        NOTE[:-1] + b" x\n",
        NOTE[:-1] + b" \n",
        NOTE.replace(b"log1 ", b"log1\xc2\xa0"),
        NOTE.replace(b"log1 ", b"lo+1 "),
        b"\xff" + NOTE,
        b"\0" + NOTE,
        b"\x1f" + NOTE,
        b"a" * NOTE_BYTES_MAX + NOTE,
        NOTE + LINE.encode() * NOTE_SIGNATURES_MAX,
    ],
)
def test_other_forms_are_refused(data: bytes) -> None:
    """What is not in the one form of a note is refused, whoever signed it."""
    with pytest.raises(LogFormatError):
        open_note(data, KNOWN)


def test_as_many_lines_as_stated() -> None:
    """A note may have as many signature lines as the limit says."""
    data = NOTE + LINE.encode() * (NOTE_SIGNATURES_MAX - 1)
    assert len(open_note(data, KNOWN).signatures) == 1


@given(st.integers(0, len(NOTE) * 8 - 1))
def test_one_bit_refuses_a_note(bit: int) -> None:
    """No single bit of a note can be changed."""
    changed = bytearray(NOTE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(LogFormatError):
        open_note(bytes(changed), KNOWN)


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: (text + LINE).encode()))
def test_nothing_but_our_error_comes_out(data: bytes) -> None:
    """Whatever bytes are read, the answer is a note or a `LogFormatError`."""
    try:
        note = open_note(data, KNOWN)
    except LogFormatError:
        return
    assert note.signatures


@given(st.text(st.characters(min_codepoint=32), max_size=60), st.integers(1, 2**63 - 1))
def test_what_is_signed_opens(text: str, time_s: int) -> None:
    """Any text without controls that ends in a line's end can be signed and opened again."""
    text = text.encode("utf-8", "ignore").decode() + "\n"
    data = sign_note(text, [LOG_KEY, TIME_KEY], time_s=time_s)
    note = open_note(data, KNOWN)
    assert (note.text, len(note.signatures)) == (text, 2)


# ---- signing


@pytest.mark.parametrize("text", ["", "no end", "a\tb\n", "a\rb\n", "\0\n", "\ud800\n"])
def test_no_note_is_made_that_would_not_open(text: str) -> None:
    """A text that no note can carry is refused before it is signed."""
    with pytest.raises(LogFormatError):
        sign_note(text, [LOG_KEY])


@pytest.mark.parametrize("time_s", [None, 0, -1, 2**63])
def test_a_timed_key_signs_a_time(time_s: int | None) -> None:
    """Without a time above 0 a timed key does not sign."""
    with pytest.raises(ValueError, match="time"):
        sign_note(TEXT, [TIME_KEY], time_s=time_s)


# ---- keys


@pytest.mark.parametrize(
    ("name", "is_good"),
    [
        ("a", True),
        ("héllo/日本", True),
        ("a" * NOTE_NAME_BYTES_MAX, True),
        ("é" * 128, False),
        ("", False),
        ("a b", False),
        ("a+b", False),
        ("a\u2003b", False),
        ("a\x85b", False),
        ("a\n", False),
        ("a\x1c", False),
        ("\ud800", False),
    ],
)
def test_names(name: str, is_good: bool) -> None:
    """Names have no space, control or plus, and at most the stated bytes."""
    assert (name_fault(name) is None) is is_good
    if not is_good:
        with pytest.raises(KeyFormatError):
            NoteKey(name, PLAIN, LOG_KEY.signing_key)


def key_texts(key: NoteKey) -> Sequence[str]:
    """Return texts that are nearly the key's."""
    text = key.verifier.encode()
    name, key_id, data = text.split("+", 2)
    return [
        "",
        name,
        f"{name}+{key_id}",
        f"{name}+{key_id.upper()}+{data}",
        f"{name}+00000000+{data}",
        f"{name}x+{key_id}+{data}",
        f"+{key_id}+{data}",
        f"{name}+{key_id}+",
        f"{name}+{key_id}+{data}\n",
        f"{name}+{key_id}+{data[:-4]}",
        f"{name}+{key_id}+{data}AAAA",
        f" {text}",
        VerifierKey(name, 0x06, key.signing_key.public_key).encode(),
        VerifierKey(name, PLAIN, key.signing_key.public_key[:31]).encode(),
    ]


@pytest.mark.parametrize("at", range(14))
def test_key_texts_have_one_form(at: int) -> None:
    """A key's text is taken only exactly as it is written."""
    with pytest.raises(KeyFormatError):
        VerifierKey.parse(key_texts(LOG_KEY)[at])


@pytest.mark.parametrize("raw", WEAK)
def test_keys_that_prove_nothing_are_refused(raw: bytes) -> None:
    """Under a key of small order, in any encoding, anybody could sign."""
    with pytest.raises(KeyFormatError, match="proves nothing"):
        VerifierKey.parse(VerifierKey(ORIGIN, PLAIN, raw).encode())


@pytest.mark.parametrize(
    "text",
    [
        LOG_KEY.verifier.encode(),
        "PRIVATE+KEY+" + LOG_KEY.verifier.encode(),
        private_key_text(ORIGIN, PLAIN, b"s" * 32).replace(ORIGIN, "other"),
        "PRIVATE+KEY+",
    ],
)
def test_private_texts_have_one_form(text: str) -> None:
    """A private key is taken only under its own key id, and never quoted."""
    with pytest.raises(KeyFormatError) as caught:
        NoteKey.parse(text)
    assert "AQ" not in str(caught.value)


def test_unknown_types_are_refused() -> None:
    """A type of key that we can't sign with makes no key."""
    with pytest.raises(KeyFormatError, match="0x02"):
        NoteKey(ORIGIN, 0x02, LOG_KEY.signing_key)


def test_a_private_key_stays_where_it_is() -> None:
    """A private key is neither shown nor pickled; two of one key are equal."""
    seed = b"s" * 32
    key = NoteKey.parse(private_key_text(ORIGIN, PLAIN, seed))
    assert key == NoteKey(ORIGIN, PLAIN, SigningKey(seed=seed)) == copy.copy(key)
    for shown in (repr(key), str(key)):
        assert seed.hex() not in shown
        assert "ssss" not in shown
        assert base64.b64encode(seed).decode()[:8] not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
