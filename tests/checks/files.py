# SPDX-License-Identifier: Apache-2.0
"""How files look: licence line, length, white space, nothing left undone, a README in each folder.

    files.py ROOT
"""

import os
import re
import sys

import source

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 80
MAX_TEST_LINES = 150  # a test may carry its table of cases

CODE = (".c", ".h", ".py", ".sh", ".build", ".map", ".ini", ".js", ".mjs", ".yml", ".sql")
CODE_NAMES = ("Makefile", "meson_options.txt", ".ci/run", ".clang-format", ".editorconfig", ".gitignore")
BINARY = (".png", ".bin", ".gz", ".db")
UNDONE = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
NEED_README = ("src", "tests", "cli", "examples", "bench")


def is_code(path):
    return path.endswith(CODE) or path in CODE_NAMES


def check_text(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield f"{path}:{number}: white space at the end of the line"
        if "\r" in line:
            yield f"{path}:{number}: carriage return"
    if text and not text.endswith("\n"):
        yield f"{path}: no line end at the end of the file"
    if text.endswith("\n\n"):
        yield f"{path}: empty lines at the end of the file"


def check_code(path, text):
    lines = text.split("\n")
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:3]):
        yield f"{path}: no SPDX line at the top"
    if len(lines) > MAX_FILE_LINES:
        yield f"{path}: {len(lines)} lines, at most {MAX_FILE_LINES}"
    for number, line in enumerate(lines, 1):
        if UNDONE.search(line):
            yield f"{path}:{number}: something is left undone: {line.strip()}"
        if "\t" in line and path.endswith((".c", ".h", ".py", ".build")):
            yield f"{path}:{number}: a tab"


def check_functions(path, text):
    """A function's body stands between braces in the first column."""
    most = MAX_TEST_LINES if path.startswith("tests/") else MAX_FUNCTION_LINES
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start - 1 > most:
                yield f"{path}:{start}: a function of {number - start - 1} lines, at most {most}"
            start = None


def check_readmes(paths):
    folders = {os.path.dirname(path) for path in paths if path.endswith((".c", ".h", ".py", ".sh"))}
    have = {os.path.dirname(path) for path in paths if os.path.basename(path) == "README.md"}
    for folder in sorted(folders):
        if folder.split("/")[0] not in NEED_README:
            continue
        # The unit tests mirror src/, whose folders explain themselves; one page is enough for them.
        covered = folder in have or any(folder.startswith(top + "/") for top in ("tests/unit", "cli"))
        if not covered:
            yield f"{folder}/README.md: missing: what lives here, the types to know, what it may not do"


def main(root):
    problems = []
    paths = source.files(root)
    for path in paths:
        if path.endswith(BINARY) or path == "LICENSE":
            continue
        text = source.read(root, path)
        problems += check_text(path, text)
        if is_code(path):
            problems += check_code(path, text)
        if path.endswith(".c"):
            problems += check_functions(path, text)
    problems += check_readmes(paths)
    return source.report(problems, len(paths), "files")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
