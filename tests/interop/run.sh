#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh FOLDER plain|python|node SCRIPT WITNESS...: one comparison. `plain` needs nothing but python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 kind=$2 script=$3
shift 3

[ "$kind" = plain ] || "$here/setup.sh" "$folder" "$kind" || exit $?
case $kind in
plain)
    exec python3 -B "$here/$script" "$@"
    ;;
python)
    exec "$folder/python/bin/python" -B "$here/$script" "$@"
    ;;
node)
    # A module finds its packages beside or above itself, so the scripts go where the packages are.
    cp "$here"/*.mjs "$folder/node/"
    exec node "$folder/node/$script" "$@"
    ;;
esac
