# SPDX-License-Identifier: Apache-2.0
"""Built-in patterns: each finds its secret, its hints are never wrong, and none is slow."""

from __future__ import annotations

import re
import time
from base64 import b64encode

import pytest

from tallystick.limits import REDACTED_CHARS_MAX
from tallystick.model.secret_patterns import BUILT_IN

KINDS = ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]


def _in_base64(before: str, kind: str) -> str:
    """Return a PEM behind some bytes, in base64, as it lies in secrets of a cluster."""
    return b64encode(f"{before}-----BEGIN {kind}PRIVATE KEY-----\nMIIE".encode()).decode()


SAMPLES = {
    "private-key": [
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\\nMII",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
        "-----BEGIN EC PRIVATE KEY-----\nx",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----",
        *(_in_base64(before, kind) for before in ("", "a", "ab") for kind in KINDS),
    ],
    "putty-key": ["PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 1"],
    "age-key": ["AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQ"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"],
    "github-token": ["ghp_0123456789abcdefABCD", "github_pat_0123456789abcdefABCD"],
    "gitlab-token": ["glpat-0123456789abcdefABCD"],
    "aws-key-id": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "google-key": ["AIza0123456789abcdef0123456789abcdef012"],
    "google-token": ["ya29.a0AfH6SMBx"],
    "google-secret": ["GOCSPX-0123456789abcdef01"],
    "slack-token": ["xoxb-1234567890-abc", "xapp-1-A0123-456"],
    "webhook": ["hooks.slack.com/services/T0/B0/XXXX", "discord.com/api/webhooks/1/abcdefgh"],
    "api-key": ["sk-0123456789abcdef01", "sk_live_0123456789abcdef", "sk-ant-api03-0123456789"],
    "npm-token": ["npm_0123456789abcdef0123"],
    "pypi-token": ["pypi-AgEIcHlwaS5vcmcCJD"],
    "hugging-face-token": ["hf_0123456789abcdefAB"],
    "vault-token": ["hvs.0123456789abcdefAB"],
    "sendgrid-key": ["SG.0123456789ab.cdef"],
    "stripe-secret": ["whsec_0123456789abcdefAB"],
    "digitalocean-token": ["dop_v1_0123456789abcdef01"],
    "shopify-token": ["shpat_0123456789abcdef"],
    "databricks-token": ["dapi0123456789abcdef01234567"],
    "telegram-token": ["123456789:AAabcdefghijklmnopqrstuvwxyz01234"],
    "azure-secret": ["AccountKey=abcdefgh==", "?sv=1&sig=abcdefghij"],
    "authorization": [
        "Authorization: Basic dXNlcjpwYXNz",
        '"authorization":"token abcd"',
        "'Authorization' => 'Bearer abcd'",
        "('Authorization', 'Bearer abcd')",
        "{'Authorization': f\"Bearer abcd\"}",
        "Authorization: `abcd`",
        "-H Authorization:\\ Bearer\\ abcd",
    ],
    "cookie": ["Cookie: a=b", "set-cookie: session=abc"],
    "bearer": ["bearer abcdefghij"],
    "basic": ["Basic dXNlcjpwYXNz"],
    "url-credentials": [
        "postgres://u:p@ss@h/d",
        "redis://:p@h",
        "//u:p@h/x",
        "jdbc:oracle:thin:u/p@h:1521",
    ],
    "curl-user": [
        "curl -u me:secret x",
        "curl --user me:secret x",
        "curl -su me:secret x",
        "curl -s -U 'me:a b' x",
    ],
    "command-password": [
        "sshpass -p hunter2 ssh h",
        "sshpass -phunter2 ssh",
        "sshpass -v -p 'a b' ssh",
        "mysql -u root -phunter2 db",
        "mysqldump -p'a b' x",
        "mariadb-dump -phunter2",
        "redis-cli -h x -a hunter2",
        "docker login -u me -p hunter2",
        "mongosh -u me -p hunter2",
        "openssl rsa -passin pass:hunter2",
        "PASS=hunter2 x",
    ],
    "url-token": ["https://x/y?token=abc", "x#access_token=abc", "?X-Amz-Signature=abc"],
    "key-value": [
        "password=hunter2",
        "PASSWORD: hunter2",
        "db_password = 'hunter 2'",
        '"client_secret": "x"',
        "AWS_SECRET_ACCESS_KEY=abc",
        "api-key => abc",
        "the passphrase is hunter2",
        "PGPASSWORD=hunter2 psql",
        "export FOO_TOKEN=hunter2",
        "set DB_PASS=hunter2",
        '{\\"password\\":\\"hunter2\\"}',
    ],
    "flag-value": ["--password hunter2", "--api-key abc", "-db-token 'a b'"],
}
HARMLESS = [
    "list_issues",
    "max tokens: 4096",
    "secretary: bob",
    "5b0c1b52-6e0f-4f5e-9c56-4f2a8a1d2c11",
    "https://example.com/a/b?page=2",
    "/home/u/src/tokenizer.py",
    "did:user:alice@example.com",
    "keyboard: us",
    "git commit -m x",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "mcp.github.get_file_contents",
    "mailto:me@example.com",
    "mysql -P 3306 -u root -p db",
    "docker run -p 8080:80 nginx",
    "mkdir -p a/b; ssh -p 22 host",
    "curl -sSLo out https://example.com:8080/x",
    "bypass: 1, compass=north, first_passed: 3",
    "// see: the note at 12:30",
    b64encode(b"-----BEGIN CERTIFICATE-----\nMIIE").decode(),
    "unauthorized: see the log",
]


def test_every_pattern_has_a_sample() -> None:
    """No pattern is there without a secret that it finds."""
    assert {one.name for one in BUILT_IN} == SAMPLES.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_secrets_are_found(name: str) -> None:
    """Each sample is found by a pattern of its name, and one of its hints is in it."""
    for sample in SAMPLES[name]:
        found = [one for one in BUILT_IN if one.name == name and re.search(one.regex, sample)]
        assert found, sample
        for one in found:
            assert one.hints
            assert any(hint in sample.lower() for hint in one.hints), sample


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_are_left(text: str) -> None:
    """What is no secret is not taken for one."""
    assert not [one.name for one in BUILT_IN if re.search(one.regex, text)]


UNITS = [
    "a", "-", " ", "=", ".", "/", '"', "\\", "key", "key ", "key=", "key_", "password", "token_a",
    "eyJ", "eyJaaaaa.", "sk-", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "://", "a://b", "@",
    "authorization", "authorization:", "authorization: a ", "cookie", "cookie=", "basic ", "basic",
    "bearer ", "-u ", "-u a:", "--token", "--aaaaaaaa", "SG.", "SG.aaaaaaaaaa", "sig=", "?code=",
    "hooks.slack.com/a/", "1234567890:", "pass word is", "pwd\t",
    "mysql ", "mysql -", "curl ", "curl -a", "curl -u a", "sshpass ", "docker -", "redis-cli ",
    "//", "//u:", "jdbc:oracle:a:", "LS0tLS1CRUdJTi", "tLS0tLUJFR0lOIQUklWQVRFIEtFW ", "pass:",
    "-pass ", "authorization',", "authorization:\\ ", "authorization: digest ", "secret\\'", "'",
    "xox", "A",
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_patterns_take_linear_time(name: str) -> None:
    """The longest text that is searched takes a pattern no time that anybody would notice."""
    start = time.process_time()
    for one in BUILT_IN:
        if one.name == name:
            pattern = re.compile(one.regex)
            for unit in UNITS:
                pattern.sub("", (unit * REDACTED_CHARS_MAX)[:REDACTED_CHARS_MAX] + "!")
    # Over 40 texts of 16 KiB each: what is quadratic takes minutes.
    assert time.process_time() - start < 10
