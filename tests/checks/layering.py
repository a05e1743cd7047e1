# SPDX-License-Identifier: Apache-2.0
"""Who may include what.

    layering.py ROOT LAYER...     the layers from the lowest to the highest

A folder of src/ includes from itself and from lower folders; name_int.h only from its own. Programs and examples
see the public headers only. Some libraries stay behind one seam. The library neither prints nor calls malloc.
"""

import os
import re
import sys

import source

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)

# Libraries that only one folder may know.
SEAMS = {
    "sqlite3.h": {"storage"},
    "libpq-fe.h": {"storage"},
    "nettle/aes.h": {"crypto"},
    "nettle/gcm.h": {"crypto"},
    "argon2.h": {"crypto"},
    "curl/curl.h": {"transport"},
    "microhttpd.h": {"transport"},
    "gnutls/gnutls.h": {"transport"},
    "ngtcp2/ngtcp2.h": {"transport"},
    "uv.h": {"transport", "sync"},
}

PRINTING = re.compile(r"(?<![\w.>])(printf|fprintf|vprintf|vfprintf|puts|putchar|fputs|perror|syslog)\s*\(")
MEMORY = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf)\s*\(")


def includes(text):
    for match in INCLUDE.finditer(source.without_comments(text)):
        yield text.count("\n", 0, match.start()) + 1, match.group(1) == '"', match.group(2)


def check_library_file(path, text, layers):
    layer = path.split("/")[1]
    for line, quoted, name in includes(text):
        if not quoted:
            if name in SEAMS and layer not in SEAMS[name]:
                yield f"{path}:{line}: <{name}> belongs behind the seam of {', '.join(sorted(SEAMS[name]))}"
            continue
        folder = name.split("/")[0]
        if "/" not in name or folder not in layers:
            yield f'{path}:{line}: "{name}" does not start with the name of a folder of src/'
        elif layers.index(folder) > layers.index(layer):
            yield f'{path}:{line}: {layer} may not include "{name}" of the higher folder {folder}'
        elif folder != layer and name.endswith("_int.h"):
            yield f'{path}:{line}: "{name}" is internal to {folder}'
    code = source.without_comments(text, literals=True)
    rules = [(PRINTING, "the library does not print, see base/log.h")]
    if path != "src/base/alloc.c":
        rules.append((MEMORY, "memory comes from base/alloc.h"))
    for pattern, why in rules:
        for match in pattern.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match.group(1)}: {why}"


def check_public_header(path, text):
    for line, quoted, name in includes(text):
        standard = name in ("stdbool.h", "stddef.h", "stdint.h")
        if quoted or not (standard or name.startswith("eidetica/")):
            yield f"{path}:{line}: a public header includes only <eidetica/...> and the smallest C headers"


def check_program_file(root, path, text):
    """Programs, examples: quoted includes stay within the same top folder."""
    top = path.split("/")[0]
    for line, quoted, name in includes(text):
        if not quoted:
            continue
        beside = [os.path.join(root, folder, name) for folder in (os.path.dirname(path), top, f"{top}/shared")]
        if not any(os.path.isfile(place) for place in beside):
            yield f'{path}:{line}: "{name}" is not of {top}/: use the public headers'


def main(root, layers):
    problems = []
    checked = 0
    for path in source.files(root):
        if not path.endswith((".c", ".h")):
            continue
        parts = path.split("/")
        if parts[0] == "src" and len(parts) > 2:
            if parts[1] not in layers:
                problems.append(f"{path}: {parts[1]} is not in the list of layers")
                continue
            problems += check_library_file(path, source.read(root, path), layers)
        elif path.startswith("include/eidetica/"):
            problems += check_public_header(path, source.read(root, path))
        elif parts[0] in ("cli", "examples"):
            problems += check_program_file(root, path, source.read(root, path))
        else:
            continue
        checked += 1
    return source.report(problems, checked, "layering")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
