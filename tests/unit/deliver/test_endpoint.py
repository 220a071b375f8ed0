# SPDX-License-Identifier: Apache-2.0
"""Addresses: the forms in use are accepted, and nothing that two programs read differently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.leaks import everything_shown_by

from tallystick.deliver.endpoint import parse_endpoint, parse_proxy
from tallystick.errors import RefusedInput


@pytest.mark.parametrize(
    ("url", "posted_to"),
    [
        ("https://c.example", "https://c.example/receipts"),
        ("https://c.example/", "https://c.example/receipts"),
        ("https://c.example/receipts", "https://c.example/receipts"),
        ("https://c.example/a/b/", "https://c.example/a/b/receipts"),
        ("https://c.example/ingest", "https://c.example/ingest"),
        ("https://c.example:443/ingest", "https://c.example/ingest"),
        ("HTTPS://C.example:8443", "https://C.example:8443/receipts"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example/receipts"),
        ("https://10.0.0.1:9/x%20y", "https://10.0.0.1:9/x%20y"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787/receipts"),
        ("http://[::1]:8787/", "http://[::1]:8787/receipts"),
        ("http://LocalHost/receipts", "http://LocalHost/receipts"),
    ],
)
def test_base_urls_and_full_urls(url: str, posted_to: str) -> None:
    """A base URL gets `receipts`, any other path stays as it is."""
    assert parse_endpoint(url).shown == posted_to


def test_a_query_is_sent_and_not_shown() -> None:
    """Gateways put keys into queries."""
    endpoint = parse_endpoint("https://c.example/?code=s3cr3t")
    assert endpoint.target == "/receipts?code=s3cr3t"
    assert endpoint.shown == "https://c.example/receipts"
    assert "s3cr3t" not in repr(endpoint)


def test_a_text_that_holds_the_query_is_known() -> None:
    """The whole of it, and each value that is long enough to be a key."""
    endpoint = parse_endpoint("https://c.example/?v=1&code=s3cr3t-key")
    assert endpoint.is_in("POST /receipts?v=1&code=s3cr3t-key HTTP/1.1")
    assert endpoint.is_in("the key s3cr3t-key is unknown")
    assert not endpoint.is_in("1 of 1")
    assert not parse_endpoint("https://c.example/r").is_in("POST /r")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "is empty"),
        (b"https://c.example", "type bytes"),
        ("c.example", "https://"),
        ("//c.example", "https://"),
        ("ftp://c.example", "https://"),
        ("file:///etc/passwd", "https://"),
        ("https://", "no host"),
        ("https:///receipts", "no host"),
        ("https://user:s3cr3t@c.example", "user name or a password"),
        ("https://s3cr3t@c.example", "user name or a password"),
        ("https://c.example/#s3cr3t", "fragment"),
        ("https://c.example/s3cr3t x", "no URL may hold"),
        ("https://c.example/\r\nX: s3cr3t", "no URL may hold"),
        ("https://c.example\n", "no URL may hold"),
        ("https://c.example/\x00", "no URL may hold"),
        ("https://bücher.example", "punycode"),
        ("https://c.example\\@evil.example", "no URL may hold"),
        ("https://c.example:0", "port"),
        ("https://c.example:65536", "port"),
        ("https://c.example:https", "no host"),
        ("https://c.example:", "no host"),
        ("https://c..example", "no host"),
        ("https://-c.example", "no host"),
        ("https://[::1", "no host"),
        ("https://[::g]", "no host"),
        ("https://[fe80::1%25eth0]", "no host"),
        ("https://" + "a" * 64 + ".example", "no host"),
        ("https://c.example/" + "a" * 2048, "characters"),
    ],
)
def test_refused_urls(url: str, why: str) -> None:
    """Each says why, and quotes nothing of what it refused."""
    with pytest.raises(RefusedInput, match=why) as caught:
        parse_endpoint(url)
    assert "s3cr3t" not in everything_shown_by(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://c.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.1",
        "http://2130706433",
        "http://0x7f.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "http://notlocalhost",
    ],
)
def test_plain_http_needs_a_word(url: str) -> None:
    """Only what is this machine for sure may be spoken to in plain text unasked."""
    with pytest.raises(RefusedInput, match="allow_insecure"):
        parse_endpoint(url)
    assert parse_endpoint(url, allow_insecure=True).scheme == "http"


def test_proxies() -> None:
    """A proxy is http://host:port and nothing more."""
    proxy = parse_proxy("http://p.example:3128")
    assert (proxy.host, proxy.port) == ("p.example", 3128)
    for url in ("https://p.example", "http://p.example/x", "http://u:s3cr3t@p.example", "p:3128"):
        with pytest.raises(RefusedInput, match="the proxy's URL") as caught:
            parse_proxy(url)
        assert "s3cr3t" not in everything_shown_by(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but RefusedInput comes out of a bad URL, and a good one reads the same twice."""
    for url in (text, f"https://{text}", f"https://c.example/{text}"):
        try:
            endpoint = parse_endpoint(url)
        except RefusedInput:
            continue
        assert "\r" not in endpoint.target + endpoint.host
        assert "\n" not in endpoint.target + endpoint.host
        assert " " not in endpoint.target + endpoint.host
        assert parse_endpoint(endpoint.shown).shown == endpoint.shown
