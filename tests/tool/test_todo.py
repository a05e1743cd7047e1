# SPDX-License-Identifier: Apache-2.0
"""eidetica-todo, the example that is a whole program: what each command prints, and what it says when it can not.

    test_todo.py PROGRAM
"""

import os
import re
import subprocess
import sys
import tempfile

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
WELCOME = "✓ Logged in as passwordless user: todo-user\n"


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:

        def run(*arguments, code=0):
            result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, cwd=directory)
            assert result.returncode == code, f"{arguments}: {result}"
            return result

        def out(*arguments):
            text = run(*arguments).stdout
            assert text.startswith(WELCOME), text
            return text[len(WELCOME):]

        first = run("list").stdout
        assert first == "✓ Initialised new instance and bootstrapped todo-user as admin\nNo tasks found.\n", first
        assert os.path.exists(os.path.join(directory, "todo.db"))

        added = re.fullmatch(rf"Added todo with ID: ({UUID})\n✓ Task added: buy \"milk\"\n", out("add", 'buy "milk"'))
        assert added, "adding"
        key = added.group(1)
        out("add", "Grüße 👋")
        assert re.fullmatch(rf"Tasks:\n\[ \] buy \"milk\" \(ID: {key}\)\n\[ \] Grüße 👋 \(ID: {UUID}\)\n", out("list"))
        assert out("complete", key) == f"✓ Task completed: {key}\n"
        assert f'[✓] buy "milk" (ID: {key})' in out("list")
        missing = run("complete", "nothing", code=1)
        assert missing.stderr.startswith("Error: ") and "nothing" in missing.stderr, missing

        assert out("set-user", "-n", "Ada", "--email", "ada@example.org") == "✓ User information updated\n"
        assert out("show-user") == "User Information:\nName: Ada\nEmail: ada@example.org\n"
        out("set-user", "--bio", "counts")
        assert out("show-user").endswith("Name: Ada\nEmail: ada@example.org\nBio: counts\n")
        out("set-pref", "theme", "dark")
        out("set-pref", "theme", "light")
        assert out("show-prefs") == "User Preferences:\ntheme: light\n"

        assert "Initialised" in run("-d", "other.db", "list").stdout
        for arguments in ([], ["frobnicate"], ["add"], ["complete"], ["set-pref", "theme"], ["-d", "x"]):
            assert run(*arguments, code=2).stderr.startswith("Usage:"), arguments
        with open(os.path.join(directory, "no.db"), "w", encoding="utf-8") as file:
            file.write("this is no data file\n" * 100)
        assert run("-d", "no.db", "list", code=1).stderr.startswith("Error: ")
    print("ok")


if __name__ == "__main__":
    main()
