# SPDX-License-Identifier: Apache-2.0
"""The examples run and print what they are there to show.

    test_examples.py QUICKSTART TWO_PEERS SECRETS TABLE
"""

import os
import re
import subprocess
import sys

ID = r"bafyr4i[a-z2-7]{52}"

QUICKSTART = rf"""committed {ID}
title: Hello
task 1: {{"text":"write it down"}}
"""

TWO_PEERS = rf"""ticket: eidetica:\?db={ID}&pr=http:127\.0\.0\.1:\d+
bob sees {{"alice":"hello from alice"}}
alice sees {{"alice":"hello from alice","bob":"hello from bob"}}
"""

SECRETS = r"""not in: the user name or the password is wrong
locked: Store pins is of type encrypted:password:v0, not docstore:v0: unlock it with its password first
door: 1234
changed
"""

TABLE = r"""(in London: \{"name":"(Ada|Nina)",.*\}\n){2}2 speak French; an index was not used
page 1
  \{"name":"Sophia",.*\}
  \{"name":"Edvard",.*\}
page 2
  \{"name":"Luis",.*\}
  \{"name":"Ada",.*\}
3 by the sea
"""

QUICKSTART_LINES = 60


def check(program, expected):
    run = subprocess.run([program], capture_output=True, text=True, timeout=60)
    good = run.returncode == 0 and re.fullmatch(expected, run.stdout) and run.stderr == ""
    print(f"{'ok' if good else 'FAILED'} {os.path.basename(program)}")
    if not good:
        print(f"exit code {run.returncode}\n{run.stdout}{run.stderr}")
    return bool(good)


def short_enough():
    """A quick start that is not quick is none."""
    path = os.path.join(os.environ["EID_SOURCE_ROOT"], "examples", "quickstart.c")
    with open(path, encoding="utf-8") as file:
        lines = len(file.readlines())
    print(f"quickstart.c has {lines} lines")
    return lines < QUICKSTART_LINES


def documents_name_what_exists():
    """Every function a guide for users shows is declared in a public header."""
    root = os.environ["EID_SOURCE_ROOT"]
    headers = os.path.join(root, "include", "eidetica")
    declared = set()
    for name in os.listdir(headers):
        if name.endswith(".h"):
            with open(os.path.join(headers, name), encoding="utf-8") as file:
                declared.update(re.findall(r"\b(eid_\w+)\(", file.read()))
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        used = set(re.findall(r"\b(eid_\w+)\(", file.read()))
    print(f"README.md uses {len(used)} functions; not declared: {sorted(used - declared)}")
    return len(used) > 5 and used <= declared


if __name__ == "__main__":
    results = [check(sys.argv[1], QUICKSTART), check(sys.argv[2], TWO_PEERS), check(sys.argv[3], SECRETS),
               check(sys.argv[4], TABLE),
               short_enough(), documents_name_what_exists()]
    sys.exit(0 if all(results) else 1)
