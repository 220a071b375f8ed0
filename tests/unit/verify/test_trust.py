# SPDX-License-Identifier: Apache-2.0
"""Whose signatures count: keys from outside, and trust files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import pytest
from tests.material import KEY, OTHER_KEY, OTHER_PUBLIC, PUBLIC

from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.multibase import did_key_encode
from tallystick.errors import LimitError
from tallystick.limits import KEYS_PER_ISSUER_MAX, TRUST_FILE_BYTES_MAX
from tallystick.verify.report import Findings
from tallystick.verify.trust import (
    Trust,
    TrustedKey,
    TrustFileError,
    fingerprint_of,
    parse_trust,
    trust_of,
)

IDENTITY = (1).to_bytes(32, "little")
DID = did_key_encode(PUBLIC)
OTHER_DID = did_key_encode(OTHER_PUBLIC)


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        KEY.public_key,
        KEY.public_key.encode(),
        PUBLIC,
        bytearray(PUBLIC),
        memoryview(PUBLIC),
        DID,
        [DID],
        (PUBLIC,),
        [bytearray(PUBLIC)],
        {DID: 1},
    ],
)
def test_one_key_in_every_form(key: object) -> None:
    """A pair, a PEM, raw bytes, a did:key, or an iterable of these: one trusted key."""
    assert trust_of(key) == Trust(anyone=(TrustedKey(public_key=PUBLIC),))


def test_several_keys_keep_their_order() -> None:
    """The first key is tried first."""
    trust = trust_of(iter([OTHER_KEY, DID]))
    assert [key.public_key for key in trust.anyone] == [OTHER_PUBLIC, PUBLIC]


def test_no_key_is_no_trust() -> None:
    """None and an empty list trust nobody; a `Trust` stays what it is."""
    assert trust_of(None) == trust_of([]) == Trust()
    trust = Trust(issuers={"a": ()})
    assert trust_of(trust) is trust


@pytest.mark.parametrize("key", ["", "text", b"\0" * 31, "did:key:z1", 5, object(), 1.5, [None]])
def test_what_is_no_key_is_a_finding(key: object) -> None:
    """Garbage is not trusted, and the report will say so: it could not be checked."""
    trust = trust_of(key)
    assert trust.anyone == ()
    findings = Findings()
    trust.report_unusable(findings)
    report = findings.report((), 0)
    assert report.codes() == ["KEY_UNUSABLE"]
    assert str(report.verdict) == "unchecked"
    assert report.findings[0].where == "key[0]"


def test_a_weak_key_is_refused_and_sound_ones_stay() -> None:
    """A key with which anyone could sign decides the verdict; others are used all the same."""
    trust = trust_of([PUBLIC, IDENTITY, b"bad"])
    assert trust.anyone == (TrustedKey(public_key=PUBLIC),)
    findings = Findings()
    trust.report_unusable(findings)
    report = findings.report((), 0)
    assert [(one.code, one.where) for one in report.findings] == [
        ("KEY_WEAK", "key[1]"),
        ("KEY_UNUSABLE", "key[2]"),
    ]
    assert str(report.verdict) == "refused"


def test_keys_at_the_limit() -> None:
    """So many keys are taken, and one more is refused, before an endless list ends the memory."""
    assert len(trust_of([PUBLIC] * KEYS_PER_ISSUER_MAX).anyone) == KEYS_PER_ISSUER_MAX
    with pytest.raises(LimitError, match="over 16 keys"):
        trust_of([PUBLIC] * (KEYS_PER_ISSUER_MAX + 1))
    with pytest.raises(LimitError):
        trust_of(repeat(PUBLIC))


def test_an_issuers_own_keys_come_first() -> None:
    """Keys of the issuer are tried before those for anyone; others' keys never."""
    own, any_one = TrustedKey(public_key=PUBLIC), TrustedKey(public_key=OTHER_PUBLIC)
    trust = Trust(anyone=(any_one,), issuers={"a": (own,)})
    assert trust.keys_for("a") == (own, any_one)
    assert trust.keys_for("b") == (any_one,)
    assert Trust(issuers={"a": (own,)}).keys_for("b") == ()


def test_a_trust_knows_whether_it_has_keys_that_nobody_named() -> None:
    """One such key is enough; keys from the caller are none."""
    named, earlier = TrustedKey(public_key=PUBLIC), TrustedKey(public_key=PUBLIC, is_earlier=True)
    assert not trust_of([PUBLIC]).has_earlier
    assert not Trust(anyone=(named,), issuers={"a": (named,)}).has_earlier
    assert Trust(anyone=(named, earlier)).has_earlier


def test_trusts_are_joined() -> None:
    """Keys for anyone add up, and issuers of the other one replace those of the same name."""
    own, other = TrustedKey(public_key=PUBLIC), TrustedKey(public_key=OTHER_PUBLIC)
    joined = Trust(anyone=(own,), issuers={"a": (own,), "b": (own,)}, unusable=(("K", "w", "m"),))
    joined = joined.with_issuers(Trust(anyone=(other,), issuers={"b": (other,)}))
    assert joined.anyone == (own, other)
    assert joined.issuers == {"a": (own,), "b": (other,)}
    assert joined.unusable == (("K", "w", "m"),)


@pytest.mark.parametrize(
    ("start", "end", "instant", "counts"),
    [
        (None, None, "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00Z", None, "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00Z", None, "2025-12-31T23:59:59.999999999Z", False),
        (None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
        (None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", False),
        (None, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-01-15T00:00:00Z", True),
    ],
)
def test_validity_includes_its_ends(
    start: str | None, end: str | None, instant: str, counts: bool
) -> None:
    """A key counts from its first to its last instant, both included."""
    key = TrustedKey(public_key=PUBLIC, valid_from=start, valid_until=end)
    assert key.counts_at(instant) is counts


def issuer(body: str, name: str = "did:agent:a") -> bytes:
    return f'[[issuer]]\nid = "{name}"\n{body}'.encode()


def test_a_trust_file_names_issuers_and_their_keys() -> None:
    """PEM and did:key, with or without validity, as text or as TOML's own timestamps."""
    text = f"""
        # who we trust
        [[issuer]]
        id = "did:agent:a"
        [[issuer.key]]
        key = "{DID}"
        valid_from = "2026-01-01T00:00:00+02:00"
        valid_until = 2026-12-31T23:59:59Z
        [[issuer.key]]
        key = \"\"\"\n{OTHER_KEY.public_key}\"\"\"
        valid_from = 2026-01-01T00:00:00.5-03:00
        [[issuer]]
        id = "did:agent:b"
        [[issuer.key]]
        key = "{OTHER_DID}"
    """
    trust = parse_trust(text.encode())
    assert trust == Trust(
        issuers={
            "did:agent:a": (
                TrustedKey(
                    public_key=PUBLIC,
                    valid_from="2026-01-01T00:00:00+02:00",
                    valid_until="2026-12-31T23:59:59Z",
                ),
                TrustedKey(public_key=OTHER_PUBLIC, valid_from="2026-01-01T00:00:00.500000-03:00"),
            ),
            "did:agent:b": (TrustedKey(public_key=OTHER_PUBLIC),),
        }
    )


KEY_LINE = f'[[issuer.key]]\nkey = "{DID}"\n'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"\[\[issuer\]\]"),
        (b"issuer = 1", r"\[\[issuer\]\]"),
        (b"issuer = []", r"\[\[issuer\]\]"),
        (b"issuer = [1]", r"\[\[issuer\]\]"),
        (b"\xff", "not TOML"),
        (b"a = ", "not TOML"),
        (b"a = " + b"[" * 10_000, "not TOML"),
        (b"a = " + b"9" * 5000, "not TOML"),
        (b"a." * 100_000 + b"a = 1", "not TOML: a key of more than 32 parts"),
        (issuer(KEY_LINE) + b"[[keys]]\n", "'keys' is not known"),
        (issuer(KEY_LINE + 'colour = "red"\n'), "'colour' is not known"),
        (issuer('colour = "red"\n' + KEY_LINE), "'colour' is not known"),
        (issuer(""), r"\[\[key\]\]"),
        (issuer("key = []\n"), r"\[\[key\]\]"),
        (b"[[issuer]]\n" + KEY_LINE.encode(), "id is missing"),
        (issuer(KEY_LINE, name=""), "id is missing"),
        (b"[[issuer]]\nid = 5\n" + KEY_LINE.encode(), "id is missing"),
        (issuer(KEY_LINE) * 2, "comes twice"),
        (issuer(f'key = [{{key = "{DID}"}}, 5]\n'), "needs one or more"),
        (issuer("[[issuer.key]]\n"), "key is missing"),
        (issuer("[[issuer.key]]\nkey = 5\n"), "key is missing"),
        (issuer('[[issuer.key]]\nkey = "x"\n'), "key"),
        (issuer(f'[[issuer.key]]\nkey = "{did_key_encode(IDENTITY)}"\n'), "small order"),
        (issuer(KEY_LINE + "valid_from = 5\n"), "valid_from: is not a timestamp"),
        (issuer(KEY_LINE + "valid_until = 2026-01-01\n"), "valid_until: is not a timestamp"),
        (issuer(KEY_LINE + "valid_until = 2026-01-01T00:00:00\n"), "time zone"),
        (issuer(KEY_LINE + 'valid_from = "2026-02-30T00:00:00Z"\n'), "not a timestamp"),
        (issuer(KEY_LINE + 'valid_from = "x2026-01-01T00:00:00Z"\n'), "not a timestamp"),
        (issuer(KEY_LINE + 'valid_from = "2026-01-01T00:00:00Zx"\n'), "not a timestamp"),
        (issuer(KEY_LINE + 'valid_from = "2026-01-01T00:00:00Z\\n"\n'), "not a timestamp"),
    ],
)
def test_a_trust_file_that_is_not_clear_is_refused(data: bytes, words: str) -> None:
    """Misspelt names, missing members, weak keys and half timestamps are said, not passed over."""
    with pytest.raises(TrustFileError, match=words):
        parse_trust(data)


def test_trust_files_at_their_limits() -> None:
    """The largest file, and the largest number of keys, are read; one more is refused."""
    text = issuer(KEY_LINE)
    padded = text + b"#" * (TRUST_FILE_BYTES_MAX - len(text))
    assert len(padded) == TRUST_FILE_BYTES_MAX
    assert parse_trust(padded) == parse_trust(text)
    with pytest.raises(TrustFileError, match="bytes"):
        parse_trust(padded + b"#")
    most = parse_trust(issuer(KEY_LINE * KEYS_PER_ISSUER_MAX))
    assert len(most.keys_for("did:agent:a")) == KEYS_PER_ISSUER_MAX
    with pytest.raises(TrustFileError, match="over 16 keys"):
        parse_trust(issuer(KEY_LINE * (KEYS_PER_ISSUER_MAX + 1)))


def test_fingerprints_are_over_raw_keys() -> None:
    """A key's fingerprint is the digest of its 32 bytes."""
    assert fingerprint_of(PUBLIC) == sha256_tagged(PUBLIC)


def test_errors_do_not_show_keys() -> None:
    """A private key that was given by mistake is not in the message."""
    secret = KEY.private_key

    def both() -> Iterator[str]:
        yield secret
        yield secret.replace("\n", "")

    trust = trust_of(both())
    assert len(trust.unusable) == 2
    assert not any(secret.splitlines()[1] in message for _, _, message in trust.unusable)
