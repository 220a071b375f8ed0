#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a virtual environment and installs this project into it, editable.
#
#   tools/environment.sh VENV PYTHON [EXTRA]
#
# Needs no more than Python >= 3.11 and a package index. Says what is missing and how to get it.
set -eu

venv=$1
python=$2
extra=${3:-}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 || fail \
    "environment: no \`$python\` on the PATH." \
    "Tallystick needs Python >= 3.11. On Debian: apt-get install python3 python3-venv" \
    "Another interpreter: make PYTHON=/path/to/python3.12 …"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail \
    "environment: \`$python\` is $("$python" -V 2>&1); Tallystick needs Python >= 3.11." \
    "Name a newer one: make PYTHON=python3.12 …"

make_venv() {
    "$python" -m venv "$venv" >"$log" 2>&1 && return
    rm -rf "$venv"  # Debian without python3-venv leaves half of one
    "$python" -m virtualenv -q "$venv" >>"$log" 2>&1 && return
    rm -rf "$venv"
    command -v virtualenv >/dev/null 2>&1 &&
        virtualenv -q -p "$python" "$venv" >>"$log" 2>&1
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    [ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || fail \
        "environment: $venv exists and is no virtual environment; move it away."
    above=$(dirname "$venv")
    [ ! -d "$above" ] || [ -w "$above" ] || fail \
        "environment: $(id -un) may not write to $(cd "$above" && pwd)." \
        "Name a place for the environment: make VENV=/path/to/venv …"
    rm -rf "$venv"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if ! make_venv; then
        rm -rf "$venv"
        sed 's/^/    /' "$log" >&2
        fail "environment: neither \`venv\` nor \`virtualenv\` works with $python." \
            "On Debian: apt-get install python3-venv"
    fi
fi

what=".${extra:+[$extra]}"
printf 'environment: installing %s into %s (once)\n' "$what" "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --editable "$what" || fail \
    "environment: pip could not install $what; its own message is above." \
    "A package index must be reachable; behind a proxy set PIP_INDEX_URL or HTTPS_PROXY."
# On all cores, which pip does on one; files in it that are no Python of this version are left alone.
"$venv/bin/python" -m compileall -qq -j 0 "$venv/lib" >/dev/null 2>&1 || true
