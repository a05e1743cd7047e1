# SPDX-License-Identifier: Apache-2.0
"""docs/features.md: which tests show which feature. Fails when it is not what the sources say.

    features.py ROOT BUILD [--write]

tests/checks/features.txt lists the features. A test shows one when the line above it says so: "/* Feature 39 */" in C,
"# Feature 39" in Python, several as "/* Features 41, 42 */". The compiler refuses a test function that is not registered, and the
build's list of tests tells whether its program is run.
"""

import collections
import json
import os
import re
import sys

import source

LIST = "tests/checks/features.txt"
PAGE = "docs/features.md"
HEAD = """# Features and the tests that show them

The features are those named by the synchronization guide of the Rust implementation, in its order and with the numbers the tests
carry, what that implementation has added since, and at the end weaknesses of it that an attacker or a bad moment could use. Made by
`tests/checks/features.py` from the tests' tags and `tests/checks/features.txt`; a test of the suite `checks` fails when it is stale.
"""

Row = collections.namedtuple("Row", "name text gap")
TAG = re.compile(r"^(?:/\*|#) Features? ([\w, ]+?)(?: \*/)?$")
C_TEST = re.compile(r"static void (\w+)\(void \*\*state\)$")
PYTHON_TEST = re.compile(r"def (test_\w+)\(")


def read_list(text):
    """Sections as (heading, rows). "NAME: text" is a row; the indented line below it tells what of it is not there."""
    sections = []
    for line in text.split("\n"):
        if line.startswith("## "):
            sections.append((line, []))
        elif line.startswith("    "):
            rows = sections[-1][1]
            rows[-1] = rows[-1]._replace(gap=line.strip())
        elif re.match(r"\w+: ", line):
            sections[-1][1].append(Row(*line.split(": ", 1), None))
        elif line and not line.startswith("#"):
            raise ValueError(f"{LIST}: what is this? {line}")
    return sections


def tags_of(path, text):
    """(feature, test) for each tag; the test is None where none follows."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        match = TAG.match(line)
        if match is None:
            continue
        below = [next_line for next_line in lines[at + 1:at + 4] if not next_line.startswith("@")]
        test = (C_TEST if path.endswith(".c") else PYTHON_TEST).match(below[0]) if below else None
        for name in match.group(1).split(", "):
            yield name, test and test.group(1)


def programs(root, build):
    """Source file -> the test of the build that runs it."""
    def load(name):
        with open(os.path.join(build, "meson-info", name), encoding="utf-8") as file:
            return json.load(file)

    sources = {target["id"]: [path for part in target["target_sources"] for path in part.get("sources", ())] for target in load("intro-targets.json")}
    found = {}
    for test in load("intro-tests.json"):
        paths = [argument for argument in test["cmd"] if argument.endswith(".py")]
        paths += [path for target in test["depends"] for path in sources.get(target, [])]
        for path in paths:
            found.setdefault(os.path.relpath(os.path.realpath(path), os.path.realpath(root)), test["name"])
    return found


def with_code(text):
    return re.sub(r"\b((?:eid_|EID_)\w+)", r"`\1`", text)


def page(sections, shown):
    """The text of the page."""
    out = [HEAD]
    for heading, rows in sections:
        out.append(f"\n{heading}\n\n| | Feature | Shown by |\n|---|---|---|\n")
        for row in rows:
            by_program = collections.defaultdict(list)
            for program, test in sorted(shown[row.name]):
                by_program[program].append(f"`{test}`")
            cell = "; ".join(f"{program}: {', '.join(tests)}" for program, tests in by_program.items())
            gap = f"*{row.gap}*" if row.gap else ""
            out.append(f"| {row.name} | {with_code(row.text)} | {'. '.join(filter(None, (cell, gap)))} |\n")
    return "".join(out)


def main(root, build, write=False):
    problems = []
    sections = read_list(source.read(root, LIST))
    rows = [row for _, section in sections for row in section]
    names = [row.name for row in rows]
    problems += [f"{LIST}: {name} stands there twice" for name in set(names) if names.count(name) > 1]

    shown = collections.defaultdict(set)
    run_by = programs(root, build)
    for path in source.files(root):
        if not path.startswith("tests/") or not path.endswith((".c", ".py")) or path == "tests/checks/test_checks.py":
            continue
        for name, test in tags_of(path, source.read(root, path)):
            if name not in names:
                problems.append(f"{path}: there is no feature {name}")
            elif test is None:
                problems.append(f"{path}: the tag of feature {name} does not stand above a test")
            elif path not in run_by:
                problems.append(f"{path}: shows feature {name}, but no test of the build runs it")
            else:
                shown[name].add((run_by[path], test))

    declared = "".join(source.read(root, path) for path in source.files(root) if path.startswith("include/eidetica/"))
    for row in rows:
        if not shown[row.name] and not row.gap:
            problems.append(f"{LIST}: nothing shows feature {row.name}, and no line says why")
        for name in re.findall(r"\b(?:eid|EID)_\w+", row.text):
            if not re.search(rf"\b{name}\b", declared):
                problems.append(f"{LIST}: feature {row.name} names {name}, which no public header declares")

    text = page(sections, shown)
    if write:
        with open(os.path.join(root, PAGE), "w", encoding="utf-8") as file:
            file.write(text)
    elif not os.path.exists(os.path.join(root, PAGE)) or source.read(root, PAGE) != text:
        problems.append(f"{PAGE} is stale: run {' '.join(sys.argv[:3])} --write")
    return source.report(problems, len(rows), "features")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], "--write" in sys.argv[3:]))
