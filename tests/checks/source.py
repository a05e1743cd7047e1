# SPDX-License-Identifier: Apache-2.0
"""What the checks share: which files there are, and C text without comments and literals."""

import os
import re
import subprocess

# Recorded data is kept as it was recorded.
UNCHECKED = ("tests/vectors/data/", "tests/fuzz/corpus/", "build")


def files(root):
    """The files of the project, as paths relative to the root: git's view, or a walk outside a checkout."""
    try:
        listed = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
        for folder, folders, names in os.walk(root):
            folders[:] = [f for f in folders if f not in (".git", "__pycache__") and not f.startswith("build")]
            listed += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(path for path in listed
                  if path and not path.startswith(UNCHECKED) and os.path.isfile(os.path.join(root, path)))


def read(root, path):
    # Line ends as they are: translated, a carriage return could not be found.
    with open(os.path.join(root, path), encoding="utf-8", newline="") as file:
        return file.read()


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text, literals=False):
    """C text with its comments blanked, the lines kept; with literals=True strings and characters too."""
    def blank(match):
        token = match.group()
        if token[0] in "\"'" and not literals:
            return token
        return "\n" * token.count("\n") + (" " if token[0] == "/" else token[0] * 2)
    return _TOKEN.sub(blank, text)


def report(problems, checked, what):
    """Prints the problems; the exit status of a check. A check that looked at nothing has failed."""
    for problem in problems:
        print(problem)
    print(f"{what}: {checked} checked, {len(problems)} problems")
    return 1 if problems or checked == 0 else 0
