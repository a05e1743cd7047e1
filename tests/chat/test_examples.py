# SPDX-License-Identifier: Apache-2.0
"""The examples run and print what they are there to show.

    test_examples.py NAME PROGRAM [NAME PROGRAM ...]
"""

import os
import re
import subprocess
import sys
import tempfile

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

USERS = r"""(key of alice: (Root Key|Work \(default\))
){2}synced every 60 s, color red
synced every 60 s and on commit, color red
alice tracks notes, synced
alice tracks letters
nobody syncs it
the user name or the password is wrong
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

DOCSTORE = r"""set: {"address":{"city":"London","street":"St James's Square 12"},"languages":\["English","French"\],"name":"Ada"}
updated: {"address":{"city":"London"},"born":1815,"languages":\["English","French"\],"name":"Ada"}
  address is of kind doc
  born is of kind int
  languages is of kind list
  name is of kind text
replaced: {"name":"Countess of Lovelace"}
refused: the value at "ada\.name" of store people is of kind text, not int
"""

LISTS = r"""at first: \["milk","bread","eggs"\]
both: \["bread","butter","eggs","salt"\]
after bread: \["salt","bread","jam","butter","eggs","salt"\]
"""

HISTORY = r"""entries: 3 2 1
as it was: {"pages":280,"title":"The Modern Prometheus"}
changed since:
  title: "The Modern Prometheus" -> "Frankenstein; or, The Modern Prometheus"
titles:
  height 3 by me: "Frankenstein; or, The Modern Prometheus"
  height 2 by me: "Frankenstein"
  height 1 by me: "The Modern Prometheus"
"""

CHANGES = r"""callback 1: an entry of height 1, written here
callback 2: an entry of height 2, written here
feed: height 1
feed: height 2
later:
feed: height 3
"""

BACKUP_EXPORT = r"""2 entries, 0 problems
backup: remember this
imported 2 of 2 entries
elsewhere: remember this
"""

ACCESS = r"""bob has write:10: written
bob has nothing: EID_ERR_PERMISSION_DENIED
carol is no member
carol may act with write:10, 1 databases away
carol has write:10: written
carol has nothing: EID_ERR_PERMISSION_DENIED
"""

EXPECTED = {
    "access": ACCESS,
    "backup-export": BACKUP_EXPORT,
    "changes": CHANGES,
    "docstore": DOCSTORE,
    "history": HISTORY,
    "lists": LISTS,
    "quickstart": QUICKSTART,
    "secrets": SECRETS,
    "users": USERS,
    "table": TABLE,
    "two-peers": TWO_PEERS,
}

# These get a directory to put files into.
WITH_DIRECTORY = {"backup-export"}

QUICKSTART_LINES = 60


def run(name, program):
    if name not in WITH_DIRECTORY:
        return subprocess.run([program], capture_output=True, text=True, timeout=60)
    with tempfile.TemporaryDirectory() as directory:
        return subprocess.run([program, directory], capture_output=True, text=True, timeout=60)


def check(name, program):
    if name not in EXPECTED:
        print(f"FAILED {name}: nothing is expected of it; add what it prints")
        return False
    result = run(name, program)
    good = result.returncode == 0 and re.fullmatch(EXPECTED[name], result.stdout) and result.stderr == ""
    print(f"{'ok' if good else 'FAILED'} {name}")
    if not good:
        print(f"exit code {result.returncode}\n{result.stdout}{result.stderr}")
    return bool(good)


def short_enough():
    """A quick start that is not quick is none."""
    path = os.path.join(os.environ["EID_SOURCE_ROOT"], "examples", "quickstart.c")
    with open(path, encoding="utf-8") as file:
        lines = len(file.readlines())
    print(f"quickstart.c has {lines} lines")
    return lines < QUICKSTART_LINES


GUIDES = ("README.md", "docs/access.md")


def documents_name_what_exists():
    """Every function the guides for users show is declared in a public header."""
    root = os.environ["EID_SOURCE_ROOT"]
    headers = os.path.join(root, "include", "eidetica")
    declared = set()
    for name in os.listdir(headers):
        if name.endswith(".h"):
            with open(os.path.join(headers, name), encoding="utf-8") as file:
                declared.update(re.findall(r"\b(eid_\w+)\(", file.read()))
    good = True
    for guide in GUIDES:
        with open(os.path.join(root, guide), encoding="utf-8") as file:
            used = set(re.findall(r"\b(eid_\w+)(?:\(|`)", file.read()))
        print(f"{guide} uses {len(used)} functions; not declared: {sorted(used - declared)}")
        good = good and len(used) > 5 and used <= declared
    return good


def quotations_are_true():
    """What docs/access.md shows as C stands in the example it is about."""
    root = os.environ["EID_SOURCE_ROOT"]
    with open(os.path.join(root, "examples", "access.c"), encoding="utf-8") as file:
        lines = {line.strip() for line in file}
    with open(os.path.join(root, "docs", "access.md"), encoding="utf-8") as file:
        quoted = [line.strip() for block in re.findall(r"```c\n(.*?)```", file.read(), re.S) for line in block.splitlines()]
    wrong = [line for line in quoted if line not in lines]
    print(f"docs/access.md quotes {len(quoted)} lines of access.c; not there: {wrong}")
    return len(quoted) > 10 and not wrong


if __name__ == "__main__":
    results = [check(name, program) for name, program in zip(sys.argv[1::2], sys.argv[2::2])]
    results += [len(results) == len(EXPECTED), short_enough(), documents_name_what_exists(), quotations_are_true()]
    sys.exit(0 if all(results) else 1)
