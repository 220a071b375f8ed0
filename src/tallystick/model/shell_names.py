# SPDX-License-Identifier: Apache-2.0
"""What the commands of a shell are known for: reading, building, deleting, raising rights.

Names are in lower case and without their folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from tallystick.model.taxonomy import RiskLevel

EXECUTE: Final = "system.command.execute"
CODE: Final = "system.code.execute"
DELETE: Final = "filesystem.file.delete"
MODIFY: Final = "filesystem.file.modify"
SETTINGS: Final = "system.settings.modify"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


READERS: Final = frozenset(
    _names("""
    ls cat head tail less more grep egrep fgrep rg ag wc pwd echo printf which whereis file stat du
    df ps date whoami id groups uname hostname diff cmp comm sort uniq cut tr nl tac rev column fold
    basename dirname realpath readlink tree true false test [ cd pushd popd sleep seq expr jq yq
    md5sum sha1sum sha256sum b2sum cksum od hexdump strings type man help history uptime free lsof
    netstat ss dig nslookup host ping find fd locate let : return wait get-content get-childitem
    """)
)
# Words of the shell's own grammar: what counts stands behind them.
GRAMMAR: Final = frozenset(_names("if then else elif fi while until do done esac ! time case"))
NEUTRAL: Final = frozenset(_names("for select in function export local declare set unset"))
# Commands that run another; and of these, those that raise rights.
WRAPPERS: Final = frozenset(
    _names("""
    env nohup nice ionice time timeout stdbuf setsid xargs watch command builtin exec chronic
    parallel unbuffer flock script systemd-run chroot unshare nsenter caffeinate busybox
    """)
)
RAISERS: Final = frozenset(_names("sudo doas su pkexec runuser gosu"))
SHELLS: Final = frozenset(_names("sh bash zsh dash ksh ash fish csh tcsh pwsh powershell cmd"))
INTERPRETERS: Final = re.compile(
    r"(?:python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|osascript|tclsh|rscript|[gmn]?awk)[0-9.]*"
)
# What brings a script from where nobody looks: the network, or an encoding.
DOWNLOADERS: Final = frozenset(_names("curl wget fetch aria2c http https iwr invoke-webrequest"))
DECODERS: Final = frozenset(_names("base64 base32 xxd openssl gpg uudecode"))
BUILDERS: Final = frozenset(
    _names("""
    make cmake ninja npm npx yarn pnpm pip pip3 pipx uv poetry cargo rustc go gcc g++ clang mvn
    gradle pytest tox nox ruff mypy eslint tsc black isort prettier jest vitest bundle gem composer
    brew apt apt-get dnf yum apk mkdir touch ln tee tar unzip zip gzip gunzip sed patch git cp mv
    install docker podman kubectl helm terraform tofu gh glab aws gcloud az chmod chgrp rsync
    truncate base64 base32 xxd openssl
    """)
)
SQL_CLIENTS: Final = frozenset(
    _names("psql mysql mariadb sqlite3 sqlcmd duckdb clickhouse-client cqlsh")
)
WRITERS: Final = frozenset(
    _names("cp mv tee install ln touch mkdir dd rsync truncate patch sed chmod chown chgrp")
)
# Of these every argument may be written to, not only the last.
WRITES_TO_ALL: Final = frozenset(_names("tee touch dd sed mkdir chmod chown chgrp truncate"))

BY_NAME: Final[Mapping[str, tuple[RiskLevel, str]]] = {
    **dict.fromkeys(_names("rm unlink del erase remove-item"), ("high", DELETE)),
    **dict.fromkeys(_names("rmdir rd"), ("high", "filesystem.directory.delete")),
    **dict.fromkeys(_names("shred wipe srm"), ("critical", DELETE)),
    **dict.fromkeys(
        _names("""
        fdisk parted sfdisk sgdisk wipefs blkdiscard mkswap hdparm cryptsetup diskutil format
        shutdown reboot halt poweroff init useradd userdel usermod adduser deluser passwd chpasswd
        visudo insmod rmmod modprobe kexec setcap setenforce dscl
        """),
        ("critical", SETTINGS),
    ),
    **dict.fromkeys(
        _names("""
        kill pkill killall systemctl service launchctl iptables ip6tables nft ufw crontab at mount
        umount sysctl chown chattr setfacl swapoff ip ifconfig route dpkg rpm snap update-rc.d
        defaults schtasks reg netsh
        """),
        ("high", SETTINGS),
    ),
    **dict.fromkeys(
        _names("nc ncat netcat socat telnet ftp sftp scp ssh rclone eval source . trap gdb strace"),
        ("high", EXECUTE),
    ),
    **dict.fromkeys(_names("iex invoke-expression"), ("critical", EXECUTE)),
}

# What makes a usual tool grave, looked for in its arguments. None of these patterns goes back over
# more than a few characters.
_CLOUD_DELETES: Final = r"\b(?:delete|terminate|remove|rb|purge|destroy)"
GRAVE_ARGUMENTS: Final[Mapping[str, Sequence[tuple[RiskLevel, str, str]]]] = {
    **dict.fromkeys(
        ("docker", "podman"), (("high", r"\b(?:rm|rmi|prune|kill|run|exec|push)\b", EXECUTE),)
    ),
    "kubectl": [
        ("high", r"\b(?:secrets?|delete|drain|exec|apply|replace|patch|scale|cordon)\b", SETTINGS)
    ],
    "helm": [("high", r"\b(?:uninstall|delete|upgrade|install|rollback)\b", SETTINGS)],
    **dict.fromkeys(
        ("terraform", "tofu"), (("critical", r"\b(?:destroy|apply|state rm|taint)\b", SETTINGS),)
    ),
    "gh": [
        ("critical", r"\brepo delete|\bsecret\b|\bauth token", EXECUTE),
        ("high", r"\b(?:delete|merge|close|release create|workflow run|api)\b", EXECUTE),
    ],
    "aws": [
        ("critical", _CLOUD_DELETES + r"|\biam\b|\bkms\b|\bput-bucket-policy", EXECUTE),
        ("high", r"\bs3 (?:rm|sync|mv|cp)\b|\bsecretsmanager\b|\bssm\b|\bsts\b", EXECUTE),
    ],
    "gcloud": [("critical", _CLOUD_DELETES + r"|\biam\b|\bsecrets\b|\bauth print", EXECUTE)],
    "az": [("critical", _CLOUD_DELETES + r"|\brole\b|\bkeyvault\b", EXECUTE)],
    "npm": [("critical", r"\b(?:publish|unpublish|token|deprecate)\b", EXECUTE)],
    "cargo": [("critical", r"\b(?:publish|yank|owner)\b", EXECUTE)],
    "find": [("high", r"-(?:delete|exec|execdir|ok|okdir|fprint)", DELETE)],
    "fd": [("high", r"(?: |^)(?:-x|-X|--exec)", EXECUTE)],
    "sort": [("medium", r"(?: |^)(?:-o|--output)", MODIFY)],
    "chmod": [
        (
            "high",
            r"(?: |^)(?:-R|--recursive|[0-7]{0,3}[2367](?: |$)|[2467][0-7]{3}(?: |$))",
            MODIFY,
        ),
        ("high", r"(?: |^)(?:[ugoa]{0,4}[+=][rwxXt]{0,5}s|[ao]{1,2}[+=]r?w|\+r?w)", MODIFY),
    ],
    "tar": [
        ("high", r"--(?:to-command|checkpoint-action|absolute-names)|(?: |^)-\w{0,12}P", EXECUTE)
    ],
    "sed": [("medium", r"(?: |^)(?:-\w{0,8}i|--in-place)", MODIFY)],
    "rsync": [("high", r"--delete|--remove-source-files|\w:", DELETE)],
    "truncate": [("high", r".", MODIFY)],
}
# The same for git, looked for from its subcommand on.
GIT_ARGUMENTS: Final[Sequence[tuple[RiskLevel, str, str | None]]] = [
    ("critical", r"push\b.* (?:-f\b|--force|--delete\b|-d\b|--mirror\b|\+\S)", DELETE),
    ("high", r"reset\b.* --hard|clean\b.* -\w{0,8}f|filter-branch|filter-repo", DELETE),
    ("high", r"(?:branch|tag)\b.* (?:-D\b|-d\b|--delete\b)|stash (?:drop|clear)", DELETE),
    ("high", r"checkout\b.* (?:-f\b|-- |\.$)|restore\b|rm\b|reflog (?:expire|delete)", MODIFY),
    ("high", r"push\b|config\b|remote (?:add|set-url)", EXECUTE),
    (
        "low",
        r"(?:status|log|diff|show|branch|blame|remote|rev-parse|ls-files|describe|grep)\b",
        "filesystem.file.read",
    ),
    ("medium", r"", None),
]
# Of these options of git the value is the next word.
GIT_VALUED: Final = frozenset(_names("-C -c --git-dir --work-tree --namespace --exec-path"))
# Options of wrappers whose value is the next word.
VALUED: Final = frozenset(_names("-u -g -n -I -P -L -s -k -d -C -h -p -U --user --group --signal"))
