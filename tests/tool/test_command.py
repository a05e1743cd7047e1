# SPDX-License-Identifier: Apache-2.0
"""The eidetica command: what it does, what it prints, what it says when asked wrongly.

    test_command.py PROGRAM [NAME...]
"""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

WAIT_SECONDS = 60.0
ID = r"bafyr4i[a-z2-7]{52}"
KEY = r"ed25519:[A-Za-z0-9+/]{43}="


class Stage:
    """One instance in a directory of its own, and the program run on it."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        os.makedirs(directory, exist_ok=True)

    def run(self, *arguments, code=0, given="", env=None):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("EIDETICA_")}
        result = subprocess.run([self.program, *arguments], input=given, capture_output=True, text=True, cwd=self.directory,
                                timeout=WAIT_SECONDS, env={**clean, **(env or {})})
        assert result.returncode == code, f"{arguments}: exit code {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def out(self, *arguments, **options):
        return self.run(*arguments, **options).stdout

    def json(self, *arguments, **options):
        return json.loads(self.out("--json", *arguments, **options))

    def refused(self, sentence, *arguments, code=1, **options):
        result = self.run(*arguments, code=code, **options)
        assert re.search(sentence, result.stderr), f"{arguments}: {result.stderr}"
        assert result.stderr.startswith("eidetica: "), result.stderr
        return result

    def other(self, name):
        return Stage(self.program, os.path.join(self.directory, name))

    def serve(self, *arguments):
        """A server on a free port: (process, address)."""
        process = subprocess.Popen([self.program, "serve", "--host", "127.0.0.1", "--port", "0", *arguments], cwd=self.directory,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        match = re.search(r"http:(127\.0\.0\.1:\d+)", line)
        assert match, f"{line}{process.stderr.read() if process.poll() is not None else ''}"
        return process, match.group(1)


def ticket_of(process):
    """The first ticket a server prints."""
    for line in process.stdout:
        match = re.search(r"eidetica:\?\S+", line)
        if match:
            return match.group(0)
    raise AssertionError("the server ended without a ticket")


def end(process, how=signal.SIGTERM):
    process.send_signal(how)
    out, err = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, f"exit code {process.returncode}\n{out}{err}"
    return out


def ready(stage, *databases):
    stage.run("init", "--user", "alice", "--passwordless")
    for name in databases:
        stage.run("db", "create", name)
    return stage


# ---- The command line itself ----


def commands(stage):
    """Every command of the help, by name."""
    lines = stage.out("--help").split("Commands", 1)[1].split("Options of every", 1)[0].splitlines()[1:]
    return [re.match(r"  ([a-z]+(?: [a-z]+(?= |$))?)", line).group(1) for line in lines if re.match(r"  [a-z]", line)]


def test_help_and_version(stage):
    assert stage.out("--version") == f"eidetica {os.environ['EID_PROJECT_VERSION']}\n"
    everything = stage.out("--help")
    assert everything.startswith("Usage: eidetica") and "sync join" in everything
    names = commands(stage)
    assert len(names) > 50 and len(set(names)) == len(names), names
    for name in names:
        text = stage.out(*name.split(), "--help")
        assert text.startswith(f"Usage: eidetica {name}"), text
        assert stage.out("-h", *name.split()) == text


def test_wrong_command_lines(stage):
    assert stage.run(code=2).stdout.startswith("Usage:")
    for sentence, arguments in [
            ("there is no command 'frobnicate'", ["frobnicate"]),
            ("'db' has to be followed by one of its commands", ["db"]),
            ("'db' has to be followed by one of its commands", ["db", "frobnicate"]),
            ("'eidetica db list' has no option --frob", ["db", "list", "--frob"]),
            ("'eidetica db list' has no option -x", ["db", "list", "-x"]),
            ("--frob is no option of every command", ["--frob", "db", "list"]),
            ("--json takes no value", ["--json=yes", "db", "list"]),
            ("--user needs a value: NAME", ["info", "--user"]),
            ("something is missing: eidetica db create NAME", ["db", "create"]),
            ("'two' is one argument too many", ["db", "create", "one", "two"]),
            ("--limit takes a number from 0 to", ["db", "log", "x", "--limit", "-1"]),
            ("--limit takes a number from 0 to", ["db", "log", "x", "--limit=1x"]),
            ("--port takes a number from 0 to 65535", ["serve", "--port", "65536"]),
            ("--certificate and --private-key belong together", ["serve", "--certificate", "x"]),
            ("--relay is for Iroh", ["serve", "--relay", "http://x/", "--http-only"]),
            ("names that begin with _ belong to the instance", ["db", "create", "_users"]),
            ("'maybe' is neither on nor off", ["user", "admin", "alice", "maybe"]),
            ("completion is for bash, zsh or fish", ["completion", "tcsh"])]:
        result = stage.refused(sentence, *arguments, code=2)
        assert result.stdout == "", result.stdout
    escape = stage.refused("there is no command", "\x1b[31mred\x1b[0m", code=2).stderr
    assert "\x1b" not in escape, "a control character reached the terminal"


def test_documents_name_every_command_and_option(stage):
    path = os.path.join(os.environ["EID_SOURCE_ROOT"], "docs/man/eidetica.1")
    with open(path, encoding="utf-8") as file:
        text = file.read().replace("\\-", "-").replace("\\fI", "").replace("\\fR", "").replace("\\fB", "")
    for name in commands(stage):
        assert re.search(rf"^\.B[RI]* \"?{name}\b", text, re.M), f"the man page does not tell of '{name}'"
        options = set(re.findall(r"--[a-z-]+", stage.out(*name.split(), "--help")))
        missing = sorted(option for option in options if option not in text)
        assert not missing, f"the man page does not tell of {missing} of '{name}'"


def test_completion(stage):
    script = os.path.join(stage.directory, "completion.bash")
    with open(script, "w", encoding="utf-8") as file:
        file.write(stage.out("completion", "bash"))

    def complete(*words):
        text = " ".join(f"'{word}'" for word in words)
        return subprocess.run(["bash", "-c", f"source {script}; COMP_WORDS=({text}); COMP_CWORD={len(words) - 1}; _eidetica; "
                               "printf '%s\\n' \"${COMPREPLY[@]}\""], capture_output=True, text=True, check=True).stdout.split()

    assert complete("eidetica", "") == list(dict.fromkeys(name.split()[0] for name in commands(stage)))
    assert complete("eidetica", "db", "e") == ["entry", "export"]
    assert complete("eidetica", "sync", "join", "--w") == ["--wait"]
    assert "complete -c eidetica" in stage.out("completion", "fish")
    assert stage.out("completion", "zsh").startswith("autoload")


# ---- Instances and users ----


def test_nothing_there_yet(stage):
    for arguments in (["info"], ["db", "list"], ["user", "list"], ["get", "a", "b"]):
        result = stage.refused("cannot open sqlite:", *arguments)
        assert "eidetica init" in result.stderr, result.stderr
    assert os.listdir(stage.directory) == [], "a command that only reads made something"
    assert "PROBLEM" in stage.run("doctor", code=1).stdout


def test_init(stage):
    made = stage.json("init", "--user", "alice", "--passwordless")
    assert re.fullmatch(KEY, made["device_id"]) and made["user"] == "alice"
    assert os.stat(os.path.join(stage.directory, "eidetica.db")).st_mode & 0o777 == 0o600
    stage.refused("initialised already", "init", "--user", "bob", "--passwordless")
    info = stage.json("info")
    assert info["device_id"] == made["device_id"] and (info["databases"], info["users"]) == (0, 1)
    stage.run("init", "--user", "carol", "--passwordless", "--data-dir", "deep")
    assert stage.json("info", env={"EIDETICA_DATA_DIR": "deep"})["device_id"] != made["device_id"]
    assert stage.json("--url", "sqlite:deep/eidetica.db", "user", "list")[0]["name"] == "carol"
    stage.refused("say with --user", "init", env={"USER": ""}, code=2)


def test_passwords(stage):
    stage.refused("a password is needed", "init", "--user", "alice")
    stage.run("init", "--user", "alice", env={"EIDETICA_PASSWORD": "sesame"})
    stage.refused("a password is needed", "db", "create", "notes")
    stage.refused("cannot log in", "db", "create", "notes", env={"EIDETICA_PASSWORD": "wrong"})
    with open(os.path.join(stage.directory, "password"), "w", encoding="utf-8") as file:
        file.write("sesame\n")
    with open(os.path.join(stage.directory, "new"), "w", encoding="utf-8") as file:
        file.write("abracadabra\n")
    stage.run("db", "create", "notes", "--password-file", "password")
    stage.run("user", "password", "--password-file", "password", "--new-password-file", "new")
    stage.refused("cannot log in", "key", "list", "--password-file", "password")
    assert len(stage.json("key", "list", "--password-file", "new")) == 1
    stage.refused("cannot read the password file", "key", "list", "--password-file", "nowhere")


def test_password_typed(stage):
    """At a terminal it is asked for twice, and not shown."""
    stage.run("init", "--user", "alice", "--passwordless")
    main, side = pty.openpty()
    process = subprocess.Popen([stage.program, "user", "create", "bob"], cwd=stage.directory, stdin=side, stdout=side, stderr=side)
    os.close(side)
    seen = b""
    deadline = time.monotonic() + WAIT_SECONDS
    for prompt in (b"Password of the new user: ", b"The same again: "):
        while prompt not in seen and time.monotonic() < deadline:
            seen += os.read(main, 1000)
        assert prompt in seen, seen
        time.sleep(0.05)  # the echo is off from the prompt on; the terminal drops what was typed before
        os.write(main, b"hush\n")
    while b"Made the user." not in seen and time.monotonic() < deadline:
        seen += os.read(main, 1000)
    assert process.wait(WAIT_SECONDS) == 0 and b"hush" not in seen, seen
    os.close(main)
    assert [user["password"] for user in sorted(stage.json("user", "list"), key=lambda user: user["name"])] == [False, True]


def test_users(stage):
    ready(stage)
    stage.run("user", "create", "bob", "--passwordless")
    stage.refused("", "user", "create", "bob", "--passwordless")
    stage.refused("there are 2 users: say which", "key", "list")
    stage.refused("there is no user 'carol'", "key", "list", "--user", "carol")
    assert len(stage.json("key", "list", "-u", "bob")) == 1
    stage.run("user", "disable", "bob")
    stage.refused("cannot log in", "key", "list", "-u", "bob")
    stage.run("user", "enable", "bob")
    stage.run("user", "admin", "bob", "on")
    users = {user["name"]: user for user in stage.json("user", "list")}
    assert users["bob"]["admin"] and users["bob"]["state"] == "active"
    stage.refused("Say --yes", "user", "remove", "bob")
    stage.run("user", "remove", "bob", "--yes")
    stage.refused("", "user", "remove", "bob", "--yes")
    assert [user["name"] for user in stage.json("user", "list")] == ["alice"]


def test_keys(stage):
    ready(stage)
    made = stage.json("key", "add", "laptop")["key"]
    secret = stage.out("key", "export", made)
    assert re.fullmatch(KEY + "\n", secret) and made not in secret
    other = stage.other("other")
    other.run("init", "--user", "bob", "--passwordless")
    assert other.json("key", "import", "brought", given=secret)["key"] == made
    other.refused("", "key", "import", given=secret)
    other.refused("no private key", "key", "import", given="nonsense\n")
    other.run("key", "default", made)
    other.run("key", "name", made, "renamed")
    keys = {key["key"]: key for key in other.json("key", "list")}
    assert keys[made]["default"] and keys[made]["name"] == "renamed"
    stage.refused("not a public key", "key", "export", "nonsense")


def test_protection(stage):
    ready(stage, "notes")
    stage.run("protect", "secret.key")
    assert os.stat(os.path.join(stage.directory, "secret.key")).st_mode & 0o777 == 0o600
    assert "--key-file" in stage.refused("cannot open", "info").stderr
    assert stage.json("info", "--key-file", "secret.key")["protected"]
    stage.run("unprotect", env={"EIDETICA_KEY_FILE": "secret.key"})
    assert not stage.json("info")["protected"]


# ---- Databases and stores ----


def test_documents(stage):
    ready(stage, "notes")
    entry = stage.json("set", "notes", "pages", "today.title", "Hello")["entry"]
    assert re.fullmatch(ID, entry)
    stage.run("set", "notes", "pages", "today.count", "5")
    stage.run("set", "notes", "pages", "today.code", "5", "--text")
    stage.run("set", "notes", "pages", "list", "[1,2,{\"a\":null}]")
    stage.run("set", "notes", "pages", "long", "-", given="from\nstandard input")
    assert stage.out("get", "notes", "pages", "today.title") == "Hello\n"
    assert stage.json("get", "notes", "pages", "today") == {"title": "Hello", "count": 5, "code": "5"}
    assert stage.json("get", "notes", "pages", "list") == [1, 2, {"a": None}]
    assert stage.json("get", "notes", "pages", "long") == "from\nstandard input"
    assert stage.out("get", "notes", "pages", "long") == "from\\nstandard input\n"
    assert set(stage.json("get", "notes", "pages")) == {"today", "list", "long"}
    assert [row["key"] for row in stage.json("scan", "notes", "pages")] == ["list", "long", "today"]
    assert [row["key"] for row in stage.json("scan", "notes", "pages", "today", "--after", "code", "-n", "1")] == ["count"]
    stage.run("delete", "notes", "pages", "today.title")
    stage.refused("cannot read it", "get", "notes", "pages", "today.title")
    stage.refused("nothing to delete", "delete", "notes", "pages", "today.title")
    stage.refused("there is no database 'nowhere'", "get", "nowhere", "pages")
    stage.refused("nothing was changed", "set", "notes", "_settings", "x", "1")


def test_hostile_text(stage):
    ready(stage, "notes")
    stage.run("set", "notes", "pages", "evil", "\x1b]0;owned\x07\u202etxt", "--text")
    for arguments in (["get", "notes", "pages", "evil"], ["get", "notes", "pages"], ["scan", "notes", "pages"]):
        assert "\x1b" not in stage.out(*arguments) and "\u202e" not in stage.out(*arguments), arguments
    assert stage.json("get", "notes", "pages", "evil") == "\x1b]0;owned\x07\u202etxt"


def make_table(stage):
    """There is no command that makes a table: the first row does."""
    for number, city in enumerate(["Rome", "Oslo", "Bern", "Oslo"]):
        stage.run("add", "notes", "people", json.dumps({"n": number, "city": city}))


def test_tables(stage):
    ready(stage, "notes")
    make_table(stage)
    rows = stage.json("scan", "notes", "people")
    assert sorted(row["row"]["n"] for row in rows) == [0, 1, 2, 3]
    assert stage.json("get", "notes", "people", rows[0]["key"]) == rows[0]["row"]
    found = stage.json("query", "notes", "people", "--field", "city", "--equals", "Oslo")
    assert sorted(row["row"]["n"] for row in found) == [1, 3]
    assert [row["row"]["n"] for row in stage.json("query", "notes", "people", "-f", "n", "--from", "1", "--to", "2")] == [1, 2]
    assert [row["row"]["n"] for row in stage.json("query", "notes", "people", "-f", "n", "--descending", "-n", "2")] == [3, 2]
    assert len(stage.json("query", "notes", "people", "-f", "city", "--prefix", "O")) == 2
    cursor = re.search(r"--cursor (\S+)", stage.out("query", "notes", "people", "-f", "n", "-n", "3")).group(1)
    assert [row["row"]["n"] for row in stage.json("query", "notes", "people", "-f", "n", "--cursor", cursor)] == [3]
    stage.run("index", "add", "notes", "people", "city")
    assert stage.json("index", "list", "notes", "people") == [{"field": "city", "complete": True}]
    assert len(stage.json("query", "notes", "people", "--field", "city", "--equals", "Oslo")) == 2
    stage.run("index", "remove", "notes", "people", "city")
    stage.run("set", "notes", "people", rows[0]["key"], '{"n":9}')
    assert stage.json("get", "notes", "people", rows[0]["key"]) == {"n": 9}
    stage.run("delete", "notes", "people", rows[0]["key"])
    assert len(stage.json("scan", "notes", "people")) == 3
    stage.refused("", "add", "notes", "people", "no JSON")
    assert stage.json("get", "notes", "people") == stage.json("scan", "notes", "people")
    assert {store["store"]: store["type"] for store in stage.json("db", "stores", "notes")} == {"people": "table:v0"}


def test_history(stage):
    ready(stage, "notes")
    first = stage.json("set", "notes", "pages", "a", "1")["entry"]
    second = stage.json("set", "notes", "pages", "a", "2")["entry"]
    log = stage.json("db", "log", "notes")
    assert [entry["id"] for entry in log[:2]] == [second, first] and len(log) == 3 and log[0]["stores"] == ["pages"]
    assert [entry["id"] for entry in stage.json("db", "log", "notes", "--oldest-first", "-s", "pages")] == [first, second]
    cursor = re.search(r"--cursor (\S+)", stage.out("db", "log", "notes", "-n", "1")).group(1)
    assert stage.json("db", "log", "notes", "--cursor", cursor)[0]["id"] == first
    assert stage.json("db", "diff", "notes", first) == [{"store": "pages", "key": "a", "before": 1, "after": 2}]
    assert stage.json("db", "diff", "notes", second) == []
    assert stage.json("db", "diff", "notes", second, first)[0]["after"] == 1
    assert stage.json("db", "entry", "notes", second)["tree"]["root"] == log[2]["id"]
    stage.refused("cannot read the entry", "db", "entry", "notes", first[:-4] + "aaaa" if first[-4:] != "aaaa" else first)
    stage.refused("not an ID", "db", "diff", "notes", "nonsense")
    shown = stage.json("db", "show", "notes")
    assert shown["entries"] == 3 and shown["tips"] == [second] and re.fullmatch("[0-9a-f]{64}", shown["state_hash"])


def test_names(stage):
    ready(stage, "notes", "notes")
    stage.refused("2 databases are called 'notes'", "db", "show", "notes")
    listed = stage.json("db", "list")
    assert [row["name"] for row in listed] == ["notes", "notes"]
    stage.run("db", "rename", listed[0]["id"], "diary")
    assert stage.json("db", "show", "diary")["id"] == listed[0]["id"]
    assert len(stage.json("db", "list", "--all")) > 2
    tracked = stage.json("db", "track", "diary", "--sync", "on", "--on-commit", "on", "--interval", "7")
    assert (tracked["sync"], tracked["on_commit"], tracked["interval"]) == (True, True, 7)
    assert stage.json("db", "track", "diary", "--interval", "0")["sync"] is True
    stage.refused("takes on or off", "db", "track", "diary", "--sync", "maybe")
    stage.run("db", "untrack", "diary")
    assert [row["id"] for row in stage.json("db", "tracked")] == [listed[1]["id"]]


def test_access(stage):
    ready(stage, "notes", "team")
    key = stage.json("key", "add")["key"]
    stage.run("access", "grant", "notes", key, "write:5", "--name", "laptop")
    rights = {right["who"]: right for right in stage.json("access", "list", "notes")}
    assert (rights[key]["permission"], rights[key]["name"], rights[key]["state"]) == ("write:5", "laptop", "active")
    stage.run("access", "grant", "notes", key, "read")
    stage.run("access", "revoke", "notes", key)
    rights = {right["who"]: right for right in stage.json("access", "list", "notes")}
    assert (rights[key]["permission"], rights[key]["name"], rights[key]["state"]) == ("read", "laptop", "revoked")
    stage.run("access", "everybody", "notes", "read")
    assert stage.json("access", "list", "notes")[0]["who"] == "everybody"
    stage.run("access", "everybody", "notes", "none")
    stage.run("access", "delegate", "notes", "team", "write", "--least", "read")
    team = stage.json("db", "show", "team")["id"]
    assert team in [right["who"] for right in stage.json("access", "list", "notes")]
    stage.run("access", "undelegate", "notes", "team")
    assert team not in [right["who"] for right in stage.json("access", "list", "notes")]
    stage.refused("not a permission", "access", "grant", "notes", key, "everything")
    mine = next(key["key"] for key in stage.json("key", "list") if key["default"])
    stage.refused("nothing was changed", "access", "revoke", "notes", mine)


# ---- Care ----


def test_care(stage):
    ready(stage, "notes")
    stage.run("set", "notes", "pages", "a", "1")
    assert stage.json("db", "verify", "notes")["wrong"] == 0
    report = stage.json("db", "check", "--signatures", "--file")
    assert report["problems"] == 0 and report["signatures"] > 0 and report["entries"] > 2
    assert stage.json("db", "check", "notes")["databases"] == 1
    assert {row["state"] for row in stage.json("doctor")} == {"ok"}
    sizes = stage.json("sizes")
    assert sizes["total"] >= sizes["entries"] > 0
    stage.json("compact")
    assert stage.json("backup", "copy.db")["size"] > 0
    stage.refused("no backup was made", "backup", "copy.db")
    assert stage.json("get", "notes", "pages", "a", "--url", "sqlite:copy.db") == 1
    os.chmod(os.path.join(stage.directory, "eidetica.db"), 0o644)
    assert "chmod 600" in stage.run("doctor", code=1).stdout


def test_damage_is_found(stage):
    ready(stage, "notes")
    for number in range(20):
        stage.run("set", "notes", "pages", f"k{number}", str(number))
    path = os.path.join(stage.directory, "eidetica.db")
    with open(path, "r+b") as file:
        file.seek(0)
        file.write(b"this is no data file" * 50)
    assert "PROBLEM" in stage.run("doctor", code=1).stdout
    stage.refused("cannot open", "db", "list")


def test_export_and_import(stage):
    ready(stage, "notes")
    stage.run("set", "notes", "pages", "a", "1")
    stage.run("db", "export", "notes", "notes.car")
    stage.refused("nothing was exported", "db", "export", "notes", "notes.car")
    other = stage.other("other")
    other.run("init", "--user", "bob", "--passwordless")
    report = other.json("db", "import", "../notes.car")
    assert (report["read"], report["new"], report["refused"]) == (2, 2, 0)
    assert other.json("get", "notes", "pages", "a") == 1
    assert other.json("db", "import", "../notes.car")["held"] == 2
    other.refused("cannot open the database", "set", "notes", "pages", "a", "2")
    other.refused("could not be imported", "db", "import", "eidetica.db")
    other.refused("could not be imported", "db", "import", "nowhere.car")


def test_output_that_can_not_be_written(stage):
    ready(stage, "notes")
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([stage.program, "db", "list"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=stage.directory)
    assert result.returncode == 1 and "could not be written" in result.stderr, result


def test_two_processes_do_not_share_a_file(stage):
    ready(stage)
    process, _ = stage.serve()
    result = stage.refused("cannot open", "info")
    assert "Stop the program that has it open" in result.stderr
    end(process)
    stage.run("info")


# ---- Sync ----


def test_sync(stage):
    ready(stage, "notes")
    stage.run("set", "notes", "pages", "a", "1")
    stage.run("db", "track", "notes", "--sync", "on")
    bob = stage.other("bob")
    bob.run("init", "--user", "bob", "--passwordless")
    process, address = stage.serve("--qr")
    ticket = ticket_of(process)
    assert stage.json("health", f"http://{address}") == {"healthy": True, "answer": '{"status":"healthy"}'}
    assert bob.json("sync", "discover", address) == []
    result = bob.refused("no access", "sync", "join", ticket)
    assert "sync approve" in result.stderr
    assert "Server shut down" in end(process)

    asked = stage.json("sync", "requests")
    assert len(asked) == 1 and asked[0]["status"] == "Pending" and asked[0]["permission"] == "write:10"
    stage.run("sync", "approve", asked[0]["id"])
    stage.refused("nothing was decided", "sync", "reject", asked[0]["id"])
    assert stage.json("sync", "requests") == [] and stage.json("sync", "requests", "--all")[0]["status"] == "Approved"

    process, address = stage.serve()
    ticket = ticket_of(process)
    assert bob.json("sync", "join", ticket)["new_here"] is True
    bob.run("set", "notes", "pages", "b", "2")
    assert bob.json("sync", "with", ticket)[0]["sent"] == 1
    assert bob.json("sync", "with", address, "notes")[0]["sent"] == 0
    assert len(bob.json("sync", "with", address)) == 1
    peer = bob.json("sync", "peers")[0]
    assert f"http:{address}" in peer["addresses"] and peer["entries"] > 0
    iroh = "&".join(part for part in ticket.split("&") if not part.startswith("pr=http:"))
    assert "pr=iroh:endpoint" in iroh, ticket
    bob.run("set", "notes", "pages", "c", "3")
    assert bob.json("sync", "with", iroh)[0]["sent"] == 1
    assert bob.json("sync", "retries") == []
    end(process, signal.SIGINT)
    assert stage.json("get", "notes", "pages") == {"a": 1, "b": 2, "c": 3}
    stage.run("sync", "block", stage.json("sync", "peers")[0]["peer"])
    assert stage.json("sync", "peers") == []
    bob.refused("no sync", "sync", "with", ticket)
    bob.refused("not a ticket", "sync", "join", "nonsense")


def test_join_waits(stage):
    """The one who waits hears of the approval without asking again."""
    ready(stage, "notes")
    stage.run("db", "track", "notes", "--sync", "on")
    bob = stage.other("bob")
    bob.run("init", "--user", "bob", "--passwordless")
    process, address = stage.serve()
    ticket = ticket_of(process)
    waiting = subprocess.Popen([bob.program, "sync", "join", "--wait", ticket], cwd=bob.directory, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert "Waiting for an answer" in waiting.stdout.readline()
    deadline = time.monotonic() + WAIT_SECONDS
    end(process)
    while stage.json("sync", "requests") == []:  # the first request may not have come before the server ended
        process, _ = stage.serve("--port", address.rsplit(":", 1)[1])
        time.sleep(0.5)
        end(process)
        assert time.monotonic() < deadline
    stage.run("sync", "approve", stage.json("sync", "requests")[0]["id"])
    process, _ = stage.serve("--port", address.rsplit(":", 1)[1])
    out, err = waiting.communicate(timeout=WAIT_SECONDS)
    assert waiting.returncode == 0 and "New here:" in out, out + err
    end(process)
    assert bob.json("db", "tracked")[0]["sync"] is True


def test_tickets(stage):
    ready(stage, "notes")
    ticket = stage.json("sync", "share", "notes", "127.0.0.1:3000", "[::1]:3001")["ticket"]
    assert re.fullmatch(rf"eidetica:\?db={ID}&pr=http:127\.0\.0\.1:3000&pr=http:\[::1\]:3001", ticket), ticket
    assert stage.json("db", "tracked")[0]["sync"] is True
    qr = stage.out("sync", "share", "notes", "127.0.0.1:3000", "--qr").splitlines()[1:]
    assert len({len(line) for line in qr}) == 1 and 15 < len(qr) < 60, qr
    stage.refused("", "sync", "share", "notes", "not an address at all")
    stage.refused("no sync", "sync", "with", ticket)


def test_health_of_what_is_not_there(stage):
    assert "unhealthy: failed to connect" in stage.run("health", "http://127.0.0.1:1", "-t", "5", code=1).stdout


def test_relay(stage):
    process = subprocess.Popen([stage.program, "relay", "--host", "127.0.0.1", "--port", "0", "--json"], cwd=stage.directory,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = json.loads(process.stdout.readline())["relay"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url), url
    assert stage.json("health", url)["healthy"] is True
    assert json.loads(end(process))["accepted"] == 0
    assert os.listdir(stage.directory) == [], "a relay needs no instance"
    stage.refused("cannot relay", "relay", "--host", "nowhere")
    stage.refused("belong together", "relay", "--certificate", "x", code=2)
    stage.refused("cannot read nowhere.pem", "relay", "--certificate", "nowhere.pem", "--private-key", "nowhere.pem")


def test_watch(stage):
    ready(stage, "notes")
    entry = stage.json("set", "notes", "pages", "a", "1")["entry"]
    process = subprocess.Popen([stage.program, "watch", "notes", "--all", "--json", "-s", "pages"], cwd=stage.directory,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shown = json.loads(process.stdout.readline())
    assert shown["id"] == entry and shown["source"] == "earlier", shown
    end(process)


def main():
    program = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2:]
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        directory = tempfile.mkdtemp(prefix="eidetica-tool-")
        start = time.monotonic()
        try:
            test(Stage(program, directory))
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception as error:  # every test is told, the first failure does not hide the others
            failed += 1
            place = error.__traceback__.tb_next
            print(f"FAILED {name}, line {place.tb_lineno if place else 0}: {type(error).__name__}: {error}", flush=True)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
