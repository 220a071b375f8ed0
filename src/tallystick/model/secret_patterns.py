# SPDX-License-Identifier: Apache-2.0
"""The shapes of secrets that are known without being told: keys, tokens, passwords, addresses.

None of them goes back far over a text: `tests/unit/model/test_secret_patterns.py` tries the worst.
"""

from __future__ import annotations

from typing import Final

import msgspec

# Names of members and parameters whose value is a secret, also as part of a longer name.
KEYS: Final = (
    r"(?:pass(?:word|wd|phrase|code)|(?<=_)pass(?![a-z])|passwort|pwd|secret|token(?!s)|api[_-]?key|apikey"
    r"|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|account[_-]?key"
    r"|auth[_-]?key|client[_-]?key|master[_-]?key|credentials?|bearer|session[_-]?id|otp|pin[_-]?code)"
)
_KEY_HINTS: Final = (
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "bearer",
    "session",
    "otp",
    "pin",
)
# A value in double quotes, in single ones, or bare.
_QUOTED: Final = r"\\?\"([^\"\\]{1,16384}+)|\\?'([^'\\]{1,16384}+)|"
_VALUE: Final = rf"(?:{_QUOTED}([^\s\"'\\,;&<>\[\]{{}}()][^\s\"',;&<>]*))"
# Behind a flag, another flag is no value.
_FLAG_VALUE: Final = rf"(?:{_QUOTED}([^\s\"'\\,;&<>\[\]{{}}()-][^\s\"',;&<>]*))"
# `user:password`, in quotes also with blanks.
_USER: Final = (
    r"(?:\"([^\s:\"]{1,64}:[^\"\r\n]{1,512}+)|'([^\s:']{1,64}:[^'\r\n]{1,512}+)"
    r"|([^\s:\"']{1,64}:[^\s\"']+))"
)
# From a program's name to its flag, within one command.
_BETWEEN: Final = r"(?:[^\r\n|;&]{0,256}?\s)?"
_SIGNED: Final = (
    r"code|auth|sign|signature|x-amz-signature|x-amz-credential|x-amz-security-token"
    r"|x-goog-signature|jwt|id_token|access_token|refresh_token|key|token|apikey|api_key|password"
    r"|secret"
)


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A shape that secrets have. Without a group the whole match goes, else only its groups."""

    name: str
    regex: str
    # One of these, in lower case, is in every text that can match. None: it is always looked for.
    hints: tuple[str, ...] = ()


def _token(name: str, regex: str, *hints: str) -> Pattern:
    return Pattern(name=name, regex=regex, hints=hints)


BUILT_IN: Final = (
    _token(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
        r"(?:(?s:.)*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|(?s:.)*)",
        "private key",
    ),
    # PKCS#8 of Ed25519 without its frame.
    _token("private-key", r"MC4CAQAwBQYDK2VwBCIEI[A-Za-z0-9+/]{20,}=?", "mc4caqawbqydk2vwbciei"),
    _token("putty-key", r"PuTTY-User-Key-File-(?s:.)*", "putty-user-key-file"),
    _token("age-key", r"(?i)AGE-SECRET-KEY-1[0-9a-z]{20,}", "age-secret-key-"),
    _token("jwt", r"eyJ[A-Za-z0-9_-]{5,4096}+(?:\.[A-Za-z0-9_-]*+){1,4}", "eyj"),
    _token("github-token", r"(?:gh[opsur]_|github_pat_)[A-Za-z0-9_]{16,}", "gh", "github_pat_"),
    _token("gitlab-token", r"gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[A-Za-z0-9_-]{16,}", "gl"),
    _token(
        "aws-key-id",
        r"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}",
        "akia",
        "asia",
        "aroa",
        "aida",
        "abia",
        "acca",
    ),
    _token("google-key", r"AIza[A-Za-z0-9_-]{30,}", "aiza"),
    _token("google-token", r"ya29\.[A-Za-z0-9_-]{10,}", "ya29."),
    _token("google-secret", r"GOCSPX-[A-Za-z0-9_-]{16,}", "gocspx-"),
    _token("slack-token", r"xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}", "xox", "xapp-"),
    _token("webhook", r"hooks\.slack\.com/[A-Za-z]{1,20}/([A-Za-z0-9/_-]{8,})", "hooks.slack.com"),
    _token(
        "webhook",
        r"discord(?:app)?\.com/api/webhooks/([0-9]{1,24}/[A-Za-z0-9_-]{8,})",
        "/api/webhooks/",
    ),
    _token(
        "api-key",
        r"(?<![A-Za-z0-9])(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}",
        "sk-",
        "sk_",
        "rk-",
        "rk_",
        "pk-",
        "pk_",
    ),
    _token("npm-token", r"npm_[A-Za-z0-9]{20,}", "npm_"),
    _token("pypi-token", r"pypi-[A-Za-z0-9_-]{16,}", "pypi-"),
    _token("hugging-face-token", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}", "hf_"),
    _token("vault-token", r"(?<![A-Za-z0-9])hv[sbr]\.[A-Za-z0-9_-]{16,}", "hvs.", "hvb.", "hvr."),
    _token("sendgrid-key", r"SG\.[A-Za-z0-9_-]{10,}\.?[A-Za-z0-9_-]*", "sg."),
    _token("stripe-secret", r"whsec_[A-Za-z0-9]{16,}", "whsec_"),
    _token("digitalocean-token", r"do[opr]_v1_[A-Za-z0-9]{16,}", "_v1_"),
    _token(
        "shopify-token",
        r"shp(?:at|ca|pa|ss)_[A-Za-z0-9]{16,}",
        "shpat_",
        "shpca_",
        "shppa_",
        "shpss_",
    ),
    _token("databricks-token", r"(?<![a-z0-9])dapi[a-f0-9]{24,}", "dapi"),
    _token("telegram-token", r"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}", ":aa"),
    _token(
        "azure-secret",
        r"(?i)(?:[?&;]|\b)(?:sig|accountkey|sharedaccesskey)=([^&;\s\"']{8,})",
        "sig=",
        "accountkey=",
        "sharedaccesskey=",
    ),
    _token(
        "authorization",
        r"(?i)authorization(?:\\?[\"'])?\s{0,4}(?::=|=>|[:=]|(?<=[\"'])\s{0,4},)(?:\\?\s){0,4}"
        r"(?:[bruf]{0,2}\\?[\"'`])?((?:digest|hawk|oauth|aws4-hmac-sha256|signature) [^\r\n]{4,}"
        r"|(?:[a-z0-9-]{1,20}(?:\\? ){1,3})?[^\s\"'`,\\]{4,})",
        "authorization",
    ),
    _token(
        "cookie", r"(?i)\b(?:set-)?cookie(?:\\?[\"'])?\s{0,4}[:=]\s{0,4}([^\r\n]{2,})", "cookie"
    ),
    _token("bearer", r"(?i)\bbearer\s{1,4}([A-Za-z0-9._~+/=-]{8,})", "bearer"),
    _token("basic", r"(?i)\bbasic\s{1,4}([A-Za-z0-9+/]{8,}={0,2})", "basic"),
    # Base64 of a PEM, at any of its three offsets: the frame's first line, then the rest.
    _token(
        "private-key",
        r"[A-Za-z0-9+/_-]{0,4}(?:LS0tLS1CRUdJTi|0tLS0tQkVHSU4g|tLS0tLUJFR0lOI)[A-Za-z0-9+/_-]{0,48}?"
        r"(?:UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)[A-Za-z0-9+/_=-]*+"
        r"(?:\s{1,8}[A-Za-z0-9+/_-]{40,}+=*+)*+(?:\s{1,8}[A-Za-z0-9+/_-]{1,76}=)?=*+",
        "ls0tls1crudjti",
        "0tls0tqkvhsu4g",
        "tls0tlujfr0loi",
    ),
    _token("url-credentials", r"(?i)[a-z0-9+.-]://([^\s/?#\"'<>]{1,512})@", "://"),
    _token(
        "url-credentials",
        r"(?<![A-Za-z0-9:/])//([^\s/?#\"'<>@:]{0,64}:[^\s/?#\"'<>]{1,256})@",
        "//",
    ),
    _token(
        "url-credentials", r"(?i)jdbc:oracle:[a-z]{1,8}:([^\s/@]{1,64}/[^\s@]{1,128})@", "jdbc:"
    ),
    _token(
        "curl-user",
        r"(?<!\S)(?:-u[ =]{0,2}|--(?:proxy-)?user[ =]{1,2})" + _USER,
        "-u",
        "--user",
        "--proxy-user",
    ),
    _token("curl-user", rf"\bcurl\s{_BETWEEN}-[A-Za-z#]{{0,6}}[uU][ =]{{0,2}}{_USER}", "curl"),
    # Programs that take a password behind a short flag, with a blank or without one.
    _token("command-password", rf"\bsshpass\s{_BETWEEN}-p\s{{0,4}}{_FLAG_VALUE}", "sshpass"),
    _token(
        "command-password",
        rf"\b(?:mysql[a-z]{{0,8}}|mariadb[a-z-]{{0,16}})\s{_BETWEEN}-p{_FLAG_VALUE}",
        "mysql",
        "mariadb",
    ),
    _token("command-password", rf"\bredis-cli\s{_BETWEEN}-a\s{{1,4}}{_FLAG_VALUE}", "redis-cli"),
    _token(
        "command-password",
        rf"\b(?:docker|podman|helm|mongo[a-z]{{0,8}})\s{_BETWEEN}-p\s{{1,4}}(?![0-9.:]{{1,32}}(?:/|\s|$))"
        + _FLAG_VALUE,
        "docker login",
        "podman login",
        "helm registry",
        "mongo",
    ),
    _token("command-password", r"-pass(?:in|out)?\s{1,4}[\"']?pass:([^\s\"']+)", "pass:"),
    _token("command-password", rf"(?<![A-Za-z0-9_-])PASS={_VALUE}", "pass="),
    _token(
        "url-token",
        rf"(?i)[?&#;](?:{_SIGNED})=([^&\s\"'#<>]+)",
        "?",
        "&",
        "#",
        ";",
    ),
    _token(
        "key-value",
        r"(?i)" + KEYS + r"(?:[_-][a-z0-9_-]{0,24}|[0-9]{0,3})(?:\\?[\"'])?\s{0,16}+"
        r"(?::=|=>|[:=]|\bis\b|(?<![\s-])>)"
        r"\s{0,16}+(?:[(<]|\[\s{0,4}(?=\\?[\"'])|[bru]{1,2}(?=[\"']))?" + _VALUE,
        *_KEY_HINTS,
    ),
    _token(
        "flag-value",
        r"(?i)(?<!\S)--?[a-z0-9-]{0,24}(?:password|passwd|passphrase|secret|token|api-?key"
        r"|access-key)\s{1,2}" + _FLAG_VALUE,
        *_KEY_HINTS,
    ),
)
