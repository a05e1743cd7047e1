#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# setup.sh FOLDER python|node: installs the independent libraries into FOLDER/python or FOLDER/node, once for each
# list of versions. Exits with 77 and the reason when they can not be had.
set -eu
mkdir -p "$1"
place=$(cd "$1" && pwd)/$2
log=$place.log
cd "$(dirname "$0")"

skip() {
    [ ! -f "$log" ] || tail -n 3 "$log"
    echo "skipped: $1"
    exit 77
}

case $2 in
python) lists="requirements.txt" ;;
node) lists="package.json package-lock.json" ;;
esac

rm -f "$log"
# shellcheck disable=SC2086 # a list of files on purpose
wanted=$(cat $lists | cksum)
[ "$(cat "$place/installed" 2>/dev/null)" != "$wanted" ] || exit 0
rm -rf "$place"

case $2 in
python)
    command -v python3 >/dev/null || skip "there is no python3"
    python3 -m venv "$place" >"$log" 2>&1 \
        || skip "python3 can not make a virtual environment (python3-venv is missing?)"
    "$place/bin/python" -m pip install --quiet --no-deps --only-binary :all: --disable-pip-version-check --retries 1 \
        --timeout 30 -r requirements.txt >"$log" 2>&1 \
        || skip "the packages of requirements.txt can not be installed"
    ;;
node)
    command -v node >/dev/null || skip "there is no node"
    command -v npm >/dev/null || skip "there is no npm"
    node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)' \
        || skip "node is older than version 18"
    mkdir -p "$place"
    # shellcheck disable=SC2086
    cp $lists "$place"
    npm ci --prefix "$place" --ignore-scripts --no-audit --no-fund --fetch-retries=1 \
        --fetch-timeout=60000 >"$log" 2>&1 \
        || skip "the packages of package-lock.json can not be installed"
    ;;
esac
echo "$wanted" >"$place/installed"
