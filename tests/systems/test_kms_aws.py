# SPDX-License-Identifier: Apache-2.0
"""KMSSigner through boto3 against a local service that speaks the KMS protocol and keeps its rules.

boto3 signs, sends, times out and parses as it does in production; only the address is ours.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from tests.leaks import everything_shown_by
from tests.systems import http_service
from tests.systems.forked import signs_by_a_connection_of_its_own
from tests.systems.kept import READ, SUCCESS, Kept, chain_by, written_by
from tests.systems.kms_service import ACCOUNT, KmsService, Members, client_for, refuses, tells_all

from tallystick import verify_chain
from tallystick.errors import (
    KeyMismatchError,
    LimitError,
    SignerUnavailable,
    SigningError,
)
from tallystick.keys.aws import KMSSigner
from tallystick.keys.remote import Retry

ALIAS = "alias/agent"
SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
EAGER = Retry(sleep=lambda _seconds: None)
SECRETS = ("wJalrXUtnFEMI/EXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials as a function finds them, and nothing of this machine's own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRETS[0],
        "AWS_SESSION_TOKEN": SECRETS[1],
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def kms() -> Iterator[KmsService]:
    with KmsService() as service:
        service.make_key(SEED, ALIAS)
        yield service


def signer_for(kms: KmsService, key_id: str = ALIAS, retry: Retry = EAGER) -> KMSSigner:
    """Return a signer that asks the local service and does not wait between attempts."""
    return KMSSigner(key_id, client=client_for(kms), retry=retry)


def test_a_chain_verifies_with_the_public_key_alone(kms: KmsService) -> None:
    """Receipts signed by KMS verify with the key that KMS shows, and the key is asked for once."""
    signer = KMSSigner(ALIAS, endpoint_url=kms.url)
    signer.warm_up()
    assert (kms.count("GetPublicKey"), kms.count("Sign")) == (1, 0)
    report = verify_chain(written_by(signer, 3), signer.get_public_key(), require_terminal=True)
    assert report.verdict.name == "VERIFIED", report.codes()
    assert (kms.count("GetPublicKey"), kms.count("Sign")) == (1, 4)


@pytest.mark.parametrize("form", ["alias", "arn", "id"])
def test_each_form_of_a_name(kms: KmsService, form: str) -> None:
    """Alias, ARN and plain id all work; what is pinned is always the ARN."""
    (arn,) = kms.keys
    name = {"alias": ALIAS, "arn": arn, "id": arn.rpartition("/")[2]}[form]
    signer = signer_for(kms, name)
    assert len(signer.sign(b"x")) == 64
    assert signer.pinned_name == arn
    assert arn in repr(signer)


def test_one_lookup_for_many_threads(kms: KmsService) -> None:
    """Threads that need the public key at once cause one request."""
    signer = signer_for(kms)
    threads = [Thread(target=signer.get_public_key) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kms.count("GetPublicKey") == 1


def test_the_limit_is_named_before_the_call(kms: KmsService) -> None:
    """4096 bytes are signed; one more is refused here, with what to do about it."""
    signer = signer_for(kms)
    assert len(signer.sign(b"x" * 4096)) == 64
    with pytest.raises(LimitError, match=r"at most 4096 bytes.* has 4097.*SessionSigner"):
        signer.sign(b"x" * 4097)
    assert kms.count("Sign") == 1


def test_the_service_would_refuse_it_too(kms: KmsService) -> None:
    """The local service keeps KMS's rules: size, algorithm with message type, key state."""
    client = client_for(kms)
    good = {"KeyId": ALIAS, "Message": b"x", "MessageType": "RAW"}
    for wrong in (
        {"SigningAlgorithm": "ED25519_PH_SHA_512"},
        {"SigningAlgorithm": "ED25519_SHA_512", "MessageType": "DIGEST"},
        {"SigningAlgorithm": "ECDSA_SHA_256"},
    ):
        with pytest.raises(client.exceptions.InvalidKeyUsageException):
            client.sign(**{**good, **wrong})
    described = client.describe_key(KeyId=ALIAS)["KeyMetadata"]
    assert described["KeySpec"] == "ECC_NIST_EDWARDS25519"


@pytest.mark.parametrize(
    "trick",
    [
        refuses("ThrottlingException"),
        refuses("KMSInternalException", 500),
        refuses("KeyUnavailableException", 500),
        refuses("DependencyTimeoutException", 503),
        http_service.balancer_down,
        http_service.reset,
    ],
)
def test_transient_faults_are_asked_again(kms: KmsService, trick: http_service.Trick) -> None:
    """Throttling, 5xx and broken connections: the next attempt signs."""
    pauses: list[float] = []
    signer = signer_for(kms, retry=Retry(sleep=pauses.append, dice=lambda: 1.0))
    signer.warm_up()
    kms.tricks.append(trick)
    assert len(signer.sign(b"x")) == 64
    assert pauses == [0.05]


def test_a_service_that_hangs(kms: KmsService) -> None:
    """An attempt ends at its timeout, boto3 adds no attempts of its own, and the next one signs."""
    signer = KMSSigner(ALIAS, endpoint_url=kms.url, timeout=1, retry=EAGER)
    assert signer._client.meta.config.connect_timeout == 1  # type: ignore[attr-defined]  # boto3's
    signer.warm_up()
    kms.tricks.append(http_service.hang)
    assert len(signer.sign(b"x")) == 64
    assert kms.count("Sign") == 2


def test_boto3_does_not_try_again_by_itself(kms: KmsService) -> None:
    """One schedule is enough: with boto3's own, our four attempts would be twenty."""
    signer = KMSSigner(ALIAS, endpoint_url=kms.url, retry=Retry(attempts=1))
    for trick in (refuses("ThrottlingException"), http_service.balancer_down, http_service.reset):
        kms.tricks.append(trick)
        with pytest.raises(SignerUnavailable):
            signer.warm_up()
        assert not kms.tricks
    assert kms.count("GetPublicKey") == 3


def test_a_service_that_stays_down(kms: KmsService) -> None:
    """After the last attempt the fault is SignerUnavailable; the pauses grew and were bounded."""
    pauses: list[float] = []
    signer = signer_for(kms, retry=Retry(sleep=pauses.append, dice=lambda: 1.0))
    kms.tricks.extend([refuses("ThrottlingException")] * 4)
    with pytest.raises(SignerUnavailable, match=r"ThrottlingException .*\(4 attempts\)"):
        signer.warm_up()
    assert pauses == [0.05, 0.1, 0.2]
    signer.warm_up()  # a failure is not remembered


def test_nobody_listens(kms: KmsService) -> None:
    """A closed port is transient, too."""
    signer = KMSSigner(
        ALIAS, endpoint_url="http://127.0.0.1:1", retry=Retry(attempts=2, sleep=lambda _s: None)
    )
    with pytest.raises(SignerUnavailable, match="can't be reached"):
        signer.sign(b"x")


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("AccessDeniedException", 400, "see the policies"),
        ("DisabledException", 400, "the key is disabled"),
        ("KMSInvalidStateException", 400, "pending deletion"),
        ("NotFoundException", 400, "no such key"),
        ("ExpiredTokenException", 400, "credentials"),
        ("SomethingNew", 400, "SomethingNew"),
    ],
)
def test_permanent_faults_are_not(kms: KmsService, code: str, status: int, words: str) -> None:
    """Denied, disabled, unknown: one request, one SigningError that says what it means."""
    signer = signer_for(kms)
    signer.warm_up()
    kms.tricks.append(refuses(code, status))
    with pytest.raises(SigningError, match=words) as caught:
        signer.sign(b"x")
    assert not isinstance(caught.value, SignerUnavailable)
    assert kms.count("Sign") == 1


def test_a_key_that_is_disabled_midway(kms: KmsService) -> None:
    """Disabling a key stops the chain; enabling it lets the same chain go on."""
    kept = Kept()
    signer = signer_for(kms)
    chain = chain_by(signer, kept)
    chain.emit(READ, SUCCESS)
    (key,) = kms.keys.values()
    key.state = "Disabled"
    with pytest.raises(SigningError, match="DisabledException"):
        chain.emit(READ, SUCCESS)
    key.state = "Enabled"
    chain.emit(READ, SUCCESS)
    report = verify_chain(kept.lines, signer.get_public_key(), expected_length=2)
    assert report.verdict.name == "VERIFIED"


def test_denied_actions(kms: KmsService) -> None:
    """A role that may sign but not see the public key is told so, before anything is signed."""
    kms.denied.add("GetPublicKey")
    with pytest.raises(SigningError, match="no public key: AccessDeniedException"):
        signer_for(kms).sign(b"x")
    assert kms.count("Sign") == 0


def _flip(action: str, members: Members) -> None:
    if action == "Sign":
        flipped = bytearray(base64.b64decode(members["Signature"]))
        flipped[7] ^= 1
        members["Signature"] = base64.b64encode(flipped).decode()


def _set(which: str, **changes: object) -> Callable[[str, Members], None]:
    def alter(action: str, members: Members) -> None:
        if action == which:
            members.update(changes)
            for name in [name for name, value in members.items() if value is None]:
                del members[name]

    return alter


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (_flip, "not by the key"),
        (_set("Sign", Signature=None), "no Ed25519 signature"),
        (_set("Sign", Signature=base64.b64encode(b"x" * 63).decode()), "no Ed25519 signature"),
        (_set("Sign", Signature=base64.b64encode(bytes(64)).decode()), "not by the key"),
        (_set("Sign", SigningAlgorithm="ED25519_PH_SHA_512"), "did not sign with"),
        (_set("Sign", SigningAlgorithm=None), "did not sign with"),
        (_set("Sign", KeyId=None), "which key signed"),
        (_set("GetPublicKey", KeyId="arn:aws:s3:::bucket"), "another key"),
        (_set("GetPublicKey", KeyId=None), "another key"),
        (_set("GetPublicKey", KeyId=f"{ACCOUNT}:key/x\r\nroot: all is well"), "another key"),
        (_set("GetPublicKey", KeyId=f"{ACCOUNT}:key/" + "x" * 9999), "another key"),
        (_set("Sign", KeyId=f"{ACCOUNT}:key/\x1b[2J"), "which key signed"),
        (_set("GetPublicKey", KeySpec="ECC_NIST_P256"), "ECC_NIST_EDWARDS25519"),
        (_set("GetPublicKey", KeyUsage="KEY_AGREEMENT"), "SIGN_VERIFY"),
        (_set("GetPublicKey", SigningAlgorithms=["ED25519_PH_SHA_512"]), "ED25519_SHA_512"),
        (_set("GetPublicKey", SigningAlgorithms=None), "ED25519_SHA_512"),
        (_set("GetPublicKey", PublicKey=None), "no public key"),
        (_set("GetPublicKey", PublicKey="AAAA"), "no Ed25519 key"),
        (
            _set(
                "GetPublicKey",
                PublicKey=base64.b64encode(
                    bytes.fromhex("302a300506032b6570032100") + b"\1" + bytes(31)
                ).decode(),
            ),
            "small order",
        ),
    ],
)
def test_wrong_answers(kms: KmsService, alter: Callable[[str, Members], None], words: str) -> None:
    """Whatever else comes back is no signature, and gets into no receipt."""
    kms.alter = alter
    kept = Kept()
    with pytest.raises(SigningError, match=words):
        chain_by(signer_for(kms), kept).emit(READ, SUCCESS)
    assert not kept.receipts


def test_a_signature_by_another_key(kms: KmsService) -> None:
    """The right name over another key's signature is noticed here, not at the auditor's."""
    signer = signer_for(kms)
    signer.warm_up()
    other = kms.make_key(OTHER_SEED)
    (key, _) = kms.keys.values()
    key.signing_key = other.signing_key
    with pytest.raises(SigningError, match="another key stands behind that name"):
        signer.sign(b"x")


def test_another_kind_of_key(kms: KmsService) -> None:
    """A P-256 key is refused when it is looked up."""
    kms.make_curve_key("alias/p256")
    with pytest.raises(SigningError, match="no ECC_NIST_EDWARDS25519 for SIGN_VERIFY"):
        signer_for(kms, "alias/p256").warm_up()


def test_an_arn_is_answered_with_itself(kms: KmsService) -> None:
    """Who asks for one key and is told of another has no signer."""
    arn = next(iter(kms.keys))
    other = kms.make_key(OTHER_SEED).arn
    kms.alter = _set("GetPublicKey", KeyId=other)
    with pytest.raises(SigningError, match="another key than the one asked for"):
        signer_for(kms, arn).warm_up()


def test_an_alias_stands_for_a_key_of_its_account(kms: KmsService) -> None:
    """The ARN of an alias names account and region; a key of another one is none of its."""
    signer = signer_for(kms, f"{ACCOUNT}:{ALIAS}")
    signer.warm_up()
    kms.alter = _set("GetPublicKey", KeyId="arn:aws:kms:eu-west-1:999999999999:key/k")
    with pytest.raises(SigningError, match="another key than the one asked for"):
        signer.anew().warm_up()


def test_garbage(kms: KmsService) -> None:
    """An answer that is no JSON is a SigningError, and no foreign exception."""
    kms.tricks.extend([http_service.garbage] * 4)
    with pytest.raises(SigningError, match="AWS KMS gave no public key"):
        signer_for(kms).warm_up()


def test_an_alias_that_moved(kms: KmsService) -> None:
    """The old chain stops with KeyMismatchError; `anew` gives a signer for the next chain.

    An auditor with both keys verifies both chains; one with the old key only refuses the new one.
    """
    kept = Kept()
    signer = signer_for(kms)
    chain = chain_by(signer, kept)
    chain.emit(READ, SUCCESS)
    old = signer.get_public_key()
    kms.make_key(OTHER_SEED, ALIAS)
    with pytest.raises(KeyMismatchError, match=r"alias/agent now names .*anew"):
        chain.emit(READ, SUCCESS)
    assert signer.get_public_key() == old
    assert len(kept.receipts) == 1

    following = signer.anew()
    after = Kept()
    chain_by(following, after).emit(READ, SUCCESS)
    new = following.get_public_key()
    assert new != old
    assert verify_chain(kept.lines, [old, new]).verdict.name == "VERIFIED"
    assert verify_chain(after.lines, [old, new]).verdict.name == "VERIFIED"
    assert verify_chain(after.lines, old).verdict.name == "REFUSED"


def test_no_secret_in_errors(kms: KmsService) -> None:
    """Even a service that quotes our credentials back to us can't get them into an error."""
    kms.tricks.append(tells_all)
    with pytest.raises(SigningError, match="SignatureDoesNotMatch") as caught:
        signer_for(kms).warm_up()
    shown = everything_shown_by(caught.value)
    for secret in (*SECRETS, "Credential=AKIDEXAMPLE"):
        assert secret not in shown


def test_a_certificate_that_nobody_knows() -> None:
    """Who answers in the service's place is sent nothing, and asking again would not help."""
    service = KmsService()
    service.use_tls()
    with service, pytest.raises(SigningError, match="TLS failed") as caught:
        KMSSigner(ALIAS, client=client_for(service), retry=EAGER).warm_up()
    assert not isinstance(caught.value, SignerUnavailable)
    assert not service.requests


@pytest.mark.parametrize("is_set", [True, False])
def test_no_proxy_stands_between(
    kms: KmsService, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    """What stays on this machine does so: a proxy would read the token, and could answer."""
    endpoint = kms.url if is_set else None
    if endpoint is None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", kms.url)
    with KmsService() as proxy:
        proxy.make_key(OTHER_SEED, ALIAS)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert len(KMSSigner(ALIAS, endpoint_url=endpoint).sign(b"x")) == 64
    assert not proxy.requests
    assert kms.count("Sign") == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # what the test is about
def test_a_forked_child(kms: KmsService) -> None:
    """Two processes that speak in one connection would break its TLS for both."""
    signs_by_a_connection_of_its_own(kms, KMSSigner(ALIAS, endpoint_url=kms.url))


def test_no_credentials(kms: KmsService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials nothing is sent, and the error says so."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(SigningError, match="boto3 finds no credentials"):
        KMSSigner(ALIAS, endpoint_url=kms.url).warm_up()
    assert not kms.requests


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without a region is refused when the signer is made."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(SigningError, match="set AWS_REGION"):
        KMSSigner(ALIAS)


def test_a_client_of_the_caller(kms: KmsService) -> None:
    """A client that is given is used as it is, and not configured again."""
    with pytest.raises(ValueError, match="for a client that is made here"):
        KMSSigner(ALIAS, client=client_for(kms), region="eu-west-1")
