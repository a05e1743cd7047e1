# SPDX-License-Identifier: Apache-2.0
"""Public headers stand alone, in C and in C++, and can be read by foreign function interfaces.

    headers.py ROOT HEADER...     CC, CXX from the environment, else cc and c++
"""

import os
import re
import subprocess
import sys
import tempfile

import source

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-pragma-once-outside-header"]
LANGUAGES = (
    ("c", os.environ.get("CC", "cc"), ["-std=c11", "-Wstrict-prototypes"]),
    ("c++", os.environ.get("CXX", "c++"), ["-std=c++17"]),
)


def compile_alone(root, name):
    for language, compiler, options in LANGUAGES:
        with tempfile.TemporaryDirectory() as folder:
            # Twice: the include guard is part of the contract.
            path = os.path.join(folder, "alone." + ("c" if language == "c" else "cpp"))
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"#include <eidetica/{name}>\n#include <eidetica/{name}>\nint eid_unused(void);\n")
            command = compiler.split() + options + WARNINGS + [
                "-fsyntax-only", "-I", os.path.join(root, "include"), path]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode != 0:
                yield f"include/eidetica/{name}: does not compile alone as {language}:\n{run.stderr}"


DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(\(?)(.*)$", re.M)
# A constant, or an initializer of an options structure.
PLAIN_VALUE = re.compile(r"^\s*(|\(?-?[0-9][0-9a-fA-FxuUlL]*\)?|\"[^\"]*\"|\{.*\}|\(?[0-9uUlL<> ()*+]+\)?)\s*$")


def no_magic(name, text):
    """A reader without a preprocessor sees declarations, enumerations and plain constants."""
    where = f"include/eidetica/{name}"
    code = source.without_comments(text).replace("\\\n", " ")
    for match in DEFINE.finditer(code):
        macro, opens, value = match.groups()
        if macro == "EID_API":
            continue
        if opens:
            yield f"{where}: {macro} is a macro with parameters"
        elif not PLAIN_VALUE.match(value):
            yield f"{where}: {macro} is not a plain constant: {value.strip()}"
    if re.search(r"\binline\b", code):
        yield f"{where}: an inline function can not be called from other languages"
    if re.search(r"^[ \t]*#[ \t]*(elif|pragma|undef|warning)", code, re.M) and name != "export.h":
        yield f"{where}: conditional text"
    for match in re.finditer(r"^(?:const |unsigned |struct |enum )*\w+[ *]+(eid_\w+)\(", code, re.M):
        yield f"{where}: {match.group(1)} is declared without EID_API"


NAME = re.compile(r'(?<!")\b(?:eid|EID)_\w+')


def comments_name_what_exists(texts):
    """A contract that sends the reader to a function that is gone, or to a paper he has not, is none."""
    declared = set(NAME.findall("".join(source.without_comments(text) for text in texts.values())))
    for name, text in texts.items():
        for comment in re.findall(r"/\*.*?\*/", text, re.S):
            for word in NAME.findall(comment):
                if word not in declared:
                    yield f"include/eidetica/{name}: a comment names {word}, which no header declares"
            if re.search(r"\bspec\b|\blimits\.h\b", comment):
                yield f"include/eidetica/{name}: a comment refers to what is not installed: {comment[:60]}"


def main(root, headers):
    problems = []
    names = [os.path.basename(header) for header in headers]
    problems += comments_name_what_exists({name: source.read(root, f"include/eidetica/{name}") for name in names})
    for header in headers:
        name = os.path.basename(header)
        problems += compile_alone(root, name)
        problems += no_magic(name, source.read(root, f"include/eidetica/{name}"))
    listed = {os.path.basename(header) for header in headers}
    for path in source.files(root):
        if path.startswith("include/eidetica/") and path.endswith(".h") and os.path.basename(path) not in listed:
            problems.append(f"{path}: not in include/eidetica/meson.build")
    umbrella = source.read(root, "include/eidetica/eidetica.h")
    for name in sorted(listed - {"eidetica.h", "export.h"}):
        if f"#include <eidetica/{name}>" not in umbrella:
            problems.append(f"include/eidetica/eidetica.h: does not include {name}")
    return source.report(problems, len(headers), "headers")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
