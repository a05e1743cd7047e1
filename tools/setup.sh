#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing. Does nothing, and needs no rights, when all are there.
set -eu

wanted="build-essential meson ninja-build pkg-config libsodium-dev nettle-dev libargon2-dev libsqlite3-dev
libmicrohttpd-dev libuv1-dev libcurl4-gnutls-dev libgnutls28-dev libngtcp2-dev libngtcp2-crypto-gnutls-dev libncurses-dev
libqrencode-dev libcmocka-dev python3 clang sqlite3"
# Used by the tests when there: an independent BLAKE3 (older releases do not have it), what calls the library from Python, what
# installs the libraries that tests/interop compares with, and what makes networks for real processes. Those of npm bring
# hundreds of packages along, so they are asked for in CI only.
optional="b3sum python3-cffi python3-venv iproute2"
[ "${CI:-}" != true ] || optional="$optional nodejs npm"

if ! command -v dpkg-query >/dev/null; then
    echo "set-up: not a Debian system; install the equivalents of these packages yourself:" $wanted
    exit 0
fi

installed() {
    # Any of the libcurl development packages will do, they exclude each other.
    if [ "$1" = libcurl4-gnutls-dev ] && command -v pkg-config >/dev/null && pkg-config --exists libcurl; then
        return 0
    fi
    # Node does not always come from Debian, and then excludes Debian's npm.
    if { [ "$1" = npm ] || [ "$1" = nodejs ]; } && command -v npm >/dev/null && command -v node >/dev/null; then
        return 0
    fi
    dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

missing=""
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
# An optional package alone is no reason to ask for rights: it comes along when something else is missing.
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "set-up: these packages are missing and there is no sudo; as root, run: apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi

echo "set-up: installing$missing"
$as_root apt-get update -q
for package in $optional; do
    if ! installed "$package" && apt-cache show "$package" >/dev/null 2>&1; then
        missing="$missing $package"
    fi
done
# shellcheck disable=SC2086 # a list of words on purpose
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
