# SPDX-License-Identifier: Apache-2.0
"""What is installed can be used: a C and a C++ program built with nothing but pkg-config's answer.

    install.py BUILD
"""

import glob
import os
import subprocess
import sys
import tempfile

PROGRAM = """
#include <eidetica/eidetica.h>
#include <string.h>
int main(void) { return strcmp(eid_version(), EID_VERSION); }
"""


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        print(" ".join(command) + "\n" + done.stdout)
        sys.exit(1)
    return done.stdout


def build_and_run(folder, compiler, suffix, pc_file, environment, static):
    """Compiles and links the program as a user would, then runs it."""
    path = os.path.join(folder, "user" + suffix)
    with open(path, "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    flags = run(["pkg-config", "--cflags", "--libs", "eidetica"], env=environment).split()
    if static:
        # Ours from its archive, the parts it stands on as they are installed: their archives need not be.
        parts = run(["pkg-config", "--print-requires-private", "eidetica"], env=environment).splitlines()
        flags = ["-l:libeidetica.a" if flag == "-leidetica" else flag for flag in flags]
        flags += run(["pkg-config", "--libs"] + [part.split()[0] for part in parts]).split() + ["-pthread"]
    program = os.path.join(folder, "user")
    run([compiler, "-Wall", "-Werror", path, "-o", program] + flags)
    libraries = os.path.normpath(os.path.join(os.path.dirname(pc_file), ".."))
    run([program], env=dict(environment, LD_LIBRARY_PATH="" if static else libraries))


def main(build):
    with tempfile.TemporaryDirectory() as folder:
        run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", folder])
        found = glob.glob(folder + "/**/eidetica.pc", recursive=True)
        if len(found) != 1:
            print(f"eidetica.pc was installed {len(found)} times")
            return 1
        environment = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(found[0]),
                           PKG_CONFIG_SYSROOT_DIR=folder)
        build_and_run(folder, os.environ.get("CC", "cc"), ".c", found[0], environment, False)
        build_and_run(folder, os.environ.get("CC", "cc"), ".c", found[0], environment, True)
        build_and_run(folder, os.environ.get("CXX", "c++"), ".cpp", found[0], environment, False)
    print("install: C shared, C static and C++ programs build and run")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
