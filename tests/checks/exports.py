# SPDX-License-Identifier: Apache-2.0
"""The shared library exports exactly what the public headers declare.

    exports.py ROOT LIBRARY
"""

import re
import subprocess
import sys

import source

DECLARED = re.compile(r"\bEID_API\b[^;{]*?\b(eid_\w+)\s*(?:\(|\[|;)")


def declared(root):
    names = set()
    for path in source.files(root):
        if path.startswith("include/eidetica/") and path.endswith(".h") and not path.endswith("/export.h"):
            names.update(DECLARED.findall(source.without_comments(source.read(root, path))))
    return names


def exported(library):
    listing = subprocess.run(["nm", "-D", "--defined-only", library],
                             check=True, capture_output=True, text=True).stdout
    # Type A is the version node itself.
    return {fields[2].split("@")[0] for fields in (line.split() for line in listing.splitlines())
            if len(fields) == 3 and fields[1] in "TDBRVW"}


def main(root, library):
    promised = declared(root)
    given = exported(library)
    problems = [f"{name}: declared in a public header, not exported" for name in sorted(promised - given)]
    problems += [f"{name}: exported, but in no public header" for name in sorted(given - promised)]
    return source.report(problems, len(promised), "exports")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
