# SPDX-License-Identifier: Apache-2.0
"""Writes the table of test_null.c: the public functions with each of their pointers left out in turn.

    calls.py ROOT OUT

Which pointers may be left out stands in may_be_null.txt; what is listed there in vain is an error.
"""

import fnmatch
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "checks"))
import source  # noqa: E402

FUNCTION = re.compile(r"\bEID_API\s+([^;{(]*?)\b(eid_\w+)\s*\(([^;]*)\)\s*;")
PARAMETER = re.compile(r"(.*?)(\w+)((?:\[\w*\])?)")
CALLBACK = re.compile(r"^typedef\s[^;{]*?\(\*(eid_\w+)\)\s*\(", re.M)
# These end something: they have no status, and nothing to end is no error.
ENDS = re.compile(r"_(free|close|clear|unref|remove|logout|cancel)$")


def functions(root):
    """(returned type, name, [(type, name)], names of callback types) of every public function."""
    texts = [source.without_comments(source.read(root, path)) for path in source.files(root)
             if path.startswith("include/eidetica/") and not path.endswith("export.h")]
    callbacks = {name for text in texts for name in CALLBACK.findall(text)}
    for text in texts:
        for returned, name, inside in FUNCTION.findall(text):
            parameters = []
            for part in inside.split(",") if inside.strip() != "void" else []:
                kind, called, array = PARAMETER.fullmatch(" ".join(part.split())).groups()
                parameters.append((kind.strip() + (" *" if array else ""), called))
            yield returned.strip(), name, parameters, callbacks


def optional(path):
    """{(pattern of functions, parameter)}"""
    pairs = set()
    with open(path, encoding="utf-8") as file:
        for line in file:
            function, *names = line.partition("#")[0].split() or [None]
            pairs.update((function, name) for name in names)
    return pairs


def value(kind, callbacks, number="1"):
    if kind in callbacks:
        return f"({kind})nothing"
    if kind.endswith("*"):
        return "scratch"
    return f"({kind}){{0}}" if kind.startswith("eid_") else number


def main(root, out):
    allowed = optional(os.path.join(os.path.dirname(os.path.abspath(__file__)), "may_be_null.txt"))
    used, calls, rows = set(), [], []
    for returned, name, parameters, callbacks in functions(root):
        pointers = [i for i, (kind, _) in enumerate(parameters) if kind.endswith("*") or kind in callbacks]
        ends = returned == "void" and ENDS.search(name)
        if not pointers or not (returned == "eid_status" or ends):
            continue
        arguments = ", ".join(
            f"left_out == {i} ? NULL : {value(kind, callbacks)}" if i in pointers else value(kind, callbacks, "0" if ends else "1")
            for i, (kind, _) in enumerate(parameters))
        body = f"{name}({arguments});\n    return EID_OK;" if ends else f"return {name}({arguments});"
        call = f"static eid_status call_{name}(unsigned left_out)\n{{\n    {body}\n}}\n"
        wanted, needed = "EID_OK" if ends else "EID_ERR_INVALID_ARGUMENT", []
        for i in pointers:
            matches = {(pattern, called) for pattern, called in allowed
                       if called == parameters[i][1] and fnmatch.fnmatchcase(name, pattern)}
            used |= matches
            if not matches and (not ends or i == 0):
                needed.append(f'    {{"{name}, {parameters[i][1]}", call_{name}, {i}, {wanted}}},')
        calls += [call] if needed else []
        rows += needed
    if used != allowed:
        sys.exit(f"may_be_null.txt names what is not there: {sorted(allowed - used)}")
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(calls) + "\nstatic const null_case cases[] = {\n" + "\n".join(rows) + "\n};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
