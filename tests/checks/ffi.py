# SPDX-License-Identifier: Apache-2.0
"""Another language uses the library: cffi reads the public headers as they are, and calls what they declare.

    ffi.py ROOT LIBRARY VERSION
"""

import os
import re
import sys

import source

try:
    import cffi
except ImportError:
    print("skipped: python3-cffi is not installed")
    sys.exit(77)


def in_order(root):
    """The headers, each behind those it includes."""
    done = []

    def take(name):
        if name in done:
            return
        text = source.without_comments(source.read(root, f"include/eidetica/{name}"))
        for needed in re.findall(r"#include <eidetica/(\w+\.h)>", text):
            # sync.h ends with those that need it.
            if needed not in ("sync_engine.h", "sync_peers.h") or name == "eidetica.h":
                take(needed)
        if name not in done:
            done.append(name)

    take("eidetica.h")
    return done


def declarations(root):
    """What is left of the headers for a reader without a preprocessor."""
    out = []
    for name in in_order(root):
        text = source.without_comments(source.read(root, f"include/eidetica/{name}")).replace("\\\n", " ")
        text = re.sub(r"#ifdef __cplusplus\n.*?#endif\n", "", text, flags=re.S)
        if name == "export.h":
            continue
        lines = [line for line in text.split("\n") if not line.startswith("#") or re.match(r"#define \w+ \d+\s*$", line)]
        out.append("\n".join(lines).replace("EID_API ", ""))
    return "\n".join(out)


def roundtrip(ffi, library):
    """A user, a database, a text written and read."""
    def good(status):
        assert status == 0, ffi.string(library.eid_last_error()).decode()

    instance, user, database = ffi.new("eid_instance **"), ffi.new("eid_user **"), ffi.new("eid_database **")
    txn, text, length = ffi.new("eid_txn **"), ffi.new("char **"), ffi.new("size_t *")
    good(library.eid_instance_open_url(b"memory:", instance))
    good(library.eid_instance_login_or_create_user(instance[0], b"alice", ffi.NULL, user))
    good(library.eid_user_create_database(user[0], b"notes", database))
    good(library.eid_database_new_transaction(database[0], txn))
    good(library.eid_docstore_set_text(txn[0], b"pages", b"today.title", "Grüße".encode()))
    good(library.eid_txn_commit_free(txn[0], ffi.NULL))
    good(library.eid_database_get_text(database[0], b"pages", b"today.title", text, length))
    assert ffi.buffer(text[0], length[0])[:].decode() == "Grüße"
    library.eid_free(text[0])
    status = library.eid_instance_open_url(b"nonsense", instance)
    assert status == library.EID_ERR_INVALID_URL and library.eid_last_error()[0] != b"\0"
    library.eid_database_close(database[0])
    library.eid_user_logout(user[0])
    library.eid_instance_close(instance[0])


def main(root, path, version):
    ffi = cffi.FFI()
    ffi.cdef(declarations(root))
    library = ffi.dlopen(os.path.abspath(path))
    names = re.findall(r"^EID_API [^;(]*?\b(eid_\w+)\(", "\n".join(
        source.without_comments(source.read(root, f"include/eidetica/{name}")) for name in in_order(root)), re.M)
    for name in names:
        getattr(library, name)
    assert ffi.string(library.eid_version()).decode() == version
    roundtrip(ffi, library)
    return source.report([], len(names), "functions, read by cffi")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
