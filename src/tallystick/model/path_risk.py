# SPDX-License-Identifier: Apache-2.0
"""How grave it is to read or to change a file, by its path alone: secrets, start-up files, system.

Paths are compared folded to lower case and with `.` and `..` taken out. Nothing looks at a disk.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from tallystick.model.taxonomy import Grade

Access = Literal["read", "write", "delete"]

# The last part of a path that holds credentials.
_SECRET_NAMES: Final = re.compile(
    r"(?:id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|\.env(?:\.[a-z0-9_-]+)?|\.envrc|\.netrc|_netrc|\.pgpass"
    r"|\.my\.cnf|\.npmrc|\.pypirc|\.git-credentials|\.htpasswd|\.vault-token|\.dockercfg"
    r"|credentials(?:\.(?:json|toml|ya?ml|csv|db|xml))?|secrets?(?:\.(?:json|toml|ya?ml|env|txt))"
    r"|service[_-]account[a-z0-9_-]*\.json|application_default_credentials\.json"
    r"|wallet\.dat|login data|cookies(?:\.sqlite)?|key[34]\.db|logins\.json|signing\.key"
    r"|shadow-?|gshadow-?|sudoers|master\.passwd|.{1,200}\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk"
    r"|asc|gpg|ovpn|keychain(?:-db)?))"
)
# Templates that hold no secret, whatever their name.
_HARMLESS_NAMES: Final = re.compile(
    r"\.env\.(?:example|sample|template|dist)|.{0,200}\.pub|.{0,200}\.(?:pub|crt)\.pem"
)
# Folders whose files are credentials.
_SECRET_PARTS: Final = (
    "/.ssh/",
    "/.gnupg/",
    "/.aws/",
    "/.azure/",
    "/.kube/config",
    "/.docker/config.json",
    "/.config/gcloud/",
    "/.config/gh/hosts.yml",
    "/.password-store/",
    "/library/keychains/",
    "/etc/ssl/private/",
    "/run/secrets/",
    "/var/run/secrets/",
    "/keyrings/",
)
_PROCESS_SECRET: Final = re.compile(r"/proc/[^/]{1,20}/(?:environ|mem|maps|cmdline|fd/.{1,50})")
# Files that something runs later, with somebody's rights.
_START_UP: Final = re.compile(
    r"\.(?:bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshrc|zshenv|zprofile"
    r"|zlogin|kshrc|cshrc|tcshrc|login|logout|xinitrc|xprofile|xsession|inputrc|vimrc|gitconfig"
    r"|curlrc|wgetrc|gdbinit|lldbinit|pythonrc|tmux\.conf|pam_environment|forward|rhosts)"
    r"|authorized_keys2?|crontab|sudoers|ld\.so\.preload|rc\.local|config\.fish|sitecustomize\.py"
)
_START_UP_PARTS: Final = (
    "/.git/hooks/",
    "/.git/config",
    "/.github/workflows/",
    "/.config/autostart/",
    "/.config/systemd/",
    "/.config/fish/",
    "/launchagents/",
    "/launchdaemons/",
    "/cron.d/",
    "/cron.daily/",
    "/cron.hourly/",
    "/cron.weekly/",
    "/cron.monthly/",
    "/spool/cron/",
    "/init.d/",
    "/systemd/system/",
    "/sudoers.d/",
    "/profile.d/",
    "/.claude/",
    "/.codex/",
    "/.cursor/",
)
_SYSTEM: Final = re.compile(
    r"/(?:etc|boot|usr|bin|sbin|lib|lib32|lib64|sys|proc|dev|system|library|private/etc"
    r"|windows|program files)(?:/.*)?|[a-z]:/(?:windows|program files)(?:/.*)?",
    re.DOTALL,
)
# Where scratch files go, though they lie in a system folder.
_SCRATCH: Final = re.compile(r"/dev/(?:null|zero|u?random|stdin|stdout|stderr|tty|shm/.*|fd/.*)")
_ACCOUNTS: Final = re.compile(
    r"(?:/private)?/etc/(?:passwd|shadow|group|gshadow|sudoers|sudoers\.d/.*|ld\.so\.preload"
    r"|pam\.d/.*|ssh/.*)|/dev/(?:[shv]d[a-z]\d*|xvd[a-z]\d*|nvme.*|mmcblk.*|r?disk\d.*|k?mem|dm-\d+"
    r"|mapper/.*)|/boot/.*|/proc/sys.*|/sys/.*"
)
_WHOLE: Final = re.compile(
    r"/|/\*|\*|\.|\.\*|\./\*?|~|~/\*?|\$\{?home\}?(?:/\*?)?|\.\.|\.\./\*?|/[a-z0-9]+/?\*?|[a-z]:/?\*?"
    r"|/home/[^/]+/?\*?|/users/[^/]+/?\*?|(?:.*/)?\.git"
)
_FOLDED_CHARS_MAX: Final = 4096


def path_grade(path: str, access: Access) -> Grade | None:
    """Return how grave this access is, or None where the path says nothing."""
    folded = _folded(path)
    if folded.startswith("/dev/") and _SCRATCH.fullmatch(folded):
        return None
    name = folded.rsplit("/", 1)[-1]
    # A path may be relative to any folder: `ssh/` of `.ssh/` is still found behind a slash.
    # A folder counts as what is in it.
    within = f"{folded}/" if folded.startswith("/") else f"/{folded}/"
    if access != "read":
        kind = f"filesystem.file.{'delete' if access == 'delete' else 'modify'}"
        if _ACCOUNTS.fullmatch(folded) or name.startswith("authorized_keys"):
            return Grade("critical", kind, "path:accounts")
        if _START_UP.fullmatch(name) or _holds_any(within, _START_UP_PARTS):
            return Grade("high", kind, "path:start-up")
        if _SYSTEM.fullmatch(folded):
            return Grade("high", kind, "path:system")
    if _is_secret(name, within):
        if access == "read":
            return Grade("high", "filesystem.file.read", "path:secret")
        return Grade("high", f"filesystem.file.{_KINDS[access]}", "path:secret")
    return None


def is_whole(path: str) -> bool:
    """Whether a path names everything: the root, a home, the folder one is in, a repository."""
    return _WHOLE.fullmatch(_folded(path)) is not None


_KINDS: Final = {"write": "modify", "delete": "delete"}


def _is_secret(name: str, within: str) -> bool:
    found = (
        _SECRET_NAMES.fullmatch(name) is not None
        or _holds_any(within, _SECRET_PARTS)
        or (within.startswith("/proc/") and _PROCESS_SECRET.match(within) is not None)
    )
    return found and _HARMLESS_NAMES.fullmatch(name) is None


def _holds_any(text: str, parts: tuple[str, ...]) -> bool:
    for part in parts:  # noqa: SIM110  # a generator would take three times as long
        if part in text:
            return True
    return False


def _folded(path: str) -> str:
    """Return a path in lower case, with slashes, without `.`, `..` and repeated slashes."""
    text = path[:_FOLDED_CHARS_MAX].strip().casefold().replace("\\", "/")
    text = text.removeprefix("file://")
    if "//" not in text and "/." not in text and not text.startswith("./"):
        return text
    kept: list[str] = []
    for part in text.split("/"):
        if part == ".." and kept and kept[-1] not in ("", ".."):
            kept.pop()
        elif part == ".." and kept == [""]:
            continue
        elif part not in ("", ".") or not kept:
            kept.append(part)
    folded = "/".join(kept)
    if folded in ("", "."):
        return "/" if text.startswith("/") else "."
    return folded
