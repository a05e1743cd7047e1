#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shows two chat programs that share a room, lose each other, and come together again.
#   demo.sh BUILD     the build directory (default: build)
set -eu
here=$(dirname "$0")
exec python3 -B "$here/demo.py" "${1:-build}/cli/eidetica-chat"
