# SPDX-License-Identifier: Apache-2.0
"""The command line: what is accepted, and one clear sentence for everything else.

    test_options.py PROGRAM
"""

import os
import re
import socket
import subprocess
import sys

import driver

ID = "bafyr4ie5v6rlw3tkyo3d7c62ncedv3it36xsjb7ej7vyntrkq6hl7g7gz4"


def run(stage, *arguments, given="", env=None):
    environment = {key: value for key, value in os.environ.items() if key != "USER"}
    return subprocess.run([stage.program, *arguments], input=given, capture_output=True, text=True,
                          timeout=driver.WAIT_SECONDS, env={**environment, **(env or {})})


def refused(stage, code, sentence, *arguments):
    """The program ends with the code and one sentence, and has opened no room."""
    result = run(stage, *arguments, given="hello\n")
    said = result.stderr.strip().splitlines()
    assert result.returncode == code, f"{arguments}: exit code {result.returncode}, {result.stderr}"
    assert re.search(sentence, said[0]), f"{arguments}: {result.stderr}"
    assert len(said) == (2 if code == 2 else 1), f"{arguments}: more than one sentence: {result.stderr}"
    assert result.stdout == "", f"{arguments}: {result.stdout}"


# Feature 165
def test_help_and_version(stage):
    for option in ("-h", "--help"):
        result = run(stage, option)
        assert result.returncode == 0 and result.stdout.startswith("Usage: eidetica-chat"), result
        assert max(len(line) for line in result.stdout.splitlines()) <= 80
    for option in ("-V", "--version"):
        result = run(stage, option)
        assert result.returncode == 0 and result.stdout == f"eidetica-chat {os.environ['EID_PROJECT_VERSION']}\n", result


# Feature 165b
def test_documents_name_every_option(stage):
    root = os.environ["EID_SOURCE_ROOT"]
    options = set(re.findall(r"--[a-z-]+", run(stage, "--help").stdout))
    assert len(options) == 12, options
    for path in ("docs/chat.md", "docs/man/eidetica-chat.1"):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read().replace("\\-", "-")
        missing = sorted(option for option in options if option not in text)
        assert not missing, f"{path} does not tell of {missing}"
        unknown = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", text)) - options
        assert not unknown, f"{path} tells of {sorted(unknown)}, which the program does not know"


# Features 152, 159
def test_transport(stage):
    refused(stage, 1, "^❌ Invalid transport 'carrier pigeon'. Use 'http' or 'iroh'$", "--transport", "carrier pigeon")
    refused(stage, 1, r"Invalid transport '\\x1b\[2J'", "--transport", "\x1b[2J")
    result = run(stage, "--transport", "HTTP", given="/quit\n")
    assert result.returncode == 0, result.stderr


def test_wrong_arguments(stage):
    refused(stage, 2, "unrecognized option", "--frobnicate")
    refused(stage, 2, "requires an argument", "--username")
    refused(stage, 2, "--refresh takes seconds", "--refresh", "soon")
    for value in ("0", "-1", "nan", "inf", "1x", "", "4000"):
        refused(stage, 2, "--refresh takes seconds", "--refresh", value)
    refused(stage, 2, "more than one ticket", "one", "two")
    refused(stage, 2, "more than one ticket", "--connect", "one", "two")
    refused(stage, 2, "can not be given together with a ticket", "--create-only", "one")
    refused(stage, 2, "a user name has 1 to 64 bytes", "-u", "")
    refused(stage, 2, "a user name has 1 to 64 bytes", "-u", "  \t ")
    refused(stage, 2, "a user name has 1 to 64 bytes", "-u", "x" * 65)
    refused(stage, 2, "a room name has 1 to 64 bytes", "--room-name", "")
    refused(stage, 2, "a room name has 1 to 64 bytes", "--room-name", "x" * 65)
    refused(stage, 2, "the ticket is empty", "")
    refused(stage, 2, "needs the name of a file", "--data", "")


def test_wrong_tickets(stage):
    for text in ("nonsense", "eidetica:", "eidetica:?pr=http:127.0.0.1:1", "eidetica:?db=nonsense", f"{ID[:-1]}@127.0.0.1:1",
                 "eidetica:?db=", "@127.0.0.1:1", f"eidetica:?db={ID}&db=x"):
        refused(stage, 1, "neither a ticket .* nor an address", text)
    refused(stage, 1, r"'\\x1b\[31m' is neither", "\x1b[31m")
    refused(stage, 1, "the ticket names no address", ID)
    refused(stage, 1, "the ticket names no address", f"eidetica:?db={ID}")


def test_files_and_ports(stage):
    refused(stage, 1, "cannot open the data file", "--data", stage.path("no/such/folder/x.db"))
    refused(stage, 1, "cannot open the data file", "--data", stage.folder)
    with open(stage.path("text.db"), "w", encoding="utf-8") as file:
        file.write("This is a text and no data file. " * 100)
    refused(stage, 1, "cannot open the data file", "--data", stage.path("text.db"))
    refused(stage, 1, "cannot listen for peers", "--listen", "nonsense")
    refused(stage, 1, "cannot listen for peers", "--listen", "127.0.0.1:99999")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(stage, 1, "cannot listen for peers", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")


def test_data_file_in_use(stage):
    chat = stage.start("alice", "--data", stage.path("a.db"))
    chat.ready()
    refused(stage, 1, "cannot open the data file", "--data", stage.path("a.db"))
    chat.quit()
    assert os.stat(stage.path("a.db")).st_mode & 0o777 == 0o600


def author(result):
    return re.search(r"^\[\d\d:\d\d:\d\d\] (.*): hello$", result.stdout, re.M).group(1)


# Features 154, 158
def test_user_names(stage):
    assert author(run(stage, "-u", "alice", given="hello\n")) == "alice"
    assert author(run(stage, "--username", " Zoë 世 ", given="hello\n")) == "Zoë 世"
    assert author(run(stage, given="hello\n", env={"USER": "bob"})) == "bob"
    assert author(run(stage, given="hello\n")) == "Anonymous"
    assert author(run(stage, given="hello\n", env={"USER": " "})) == "Anonymous"


# Feature 161
def test_room_names(stage):
    result = run(stage, "--room-name", "Tea Time", given="/quit\n")
    assert re.search("^name: Tea Time$", result.stdout, re.M), result
    result = run(stage, given="/quit\n")
    assert re.search(r"^name: Chat Room - \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", result.stdout, re.M), result
    result = run(stage, "--room-name", "a\x1b[2Jb", given="/quit\n")
    assert re.search(r"^name: a\\x1b\[2Jb$", result.stdout, re.M), result


# Feature 165
def test_verbose_logs_to_standard_error(stage):
    quiet = run(stage, "--room-name", "X", given="hello\n/quit\n")
    assert quiet.returncode == 0 and quiet.stderr == "", quiet.stderr
    loud = run(stage, "-v", "--room-name", "X", given="hello\n/quit\n")
    assert loud.returncode == 0 and loud.stdout.count("\n") == quiet.stdout.count("\n"), loud


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]

if __name__ == "__main__":
    sys.exit(driver.run(TESTS, sys.argv[1]))
