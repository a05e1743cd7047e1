# SPDX-License-Identifier: Apache-2.0
"""What strangers may write into a room, answer on a port, or refuse.

    test_hostile.py PROGRAM PEER
"""

import http.server
import json
import re
import socket
import subprocess
import sys
import threading
import time

import driver

PEER = None
UNKNOWN = "bafyr4ie5v6rlw3tkyo3d7c62ncedv3it36xsjb7ej7vyntrkq6hl7g7gz4"
TIME = "2025-10-09T08:53:20Z"


def peer(*arguments, given=""):
    result = subprocess.run([PEER, *arguments], input=given, capture_output=True, text=True, timeout=driver.WAIT_SECONDS)
    assert result.returncode == 0, f"the test's own peer failed: {result.stdout}{result.stderr}"
    return result.stdout


def row(content, author="mallory", time_text=TIME, **more):
    return json.dumps({"id": "x", "author": author, "content": content, "timestamp": time_text, **more}, ensure_ascii=False)


def fails(chat, code=1):
    """Waits for the end; returns the last sentence. Nothing of a room was printed."""
    assert chat.wait_end() == code, chat.transcript()
    assert not chat.out, chat.transcript()
    return chat.err[-1]


def test_nobody_there(stage):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    started = time.monotonic()
    sentence = fails(stage.start("bob", "--connect", f"{UNKNOWN}@127.0.0.1:{port}"))
    assert f"cannot join the room: cannot reach 127.0.0.1:{port}" in sentence, sentence
    assert time.monotonic() - started < 30


def test_unknown_room(stage):
    alice = stage.start("alice", "--create-only")
    host = alice.ready()[0].split("@")[1]
    sentence = fails(stage.start("bob", f"eidetica:?db={UNKNOWN}&pr=http:{host}"))
    assert f"{host} does not have this room, or does not share it" in sentence, sentence


def test_private_database_is_not_given_out(stage):
    """The notebook of a chat with a data file is a database, too, but not one for others."""
    alice = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    host = alice.ready()[0].split("@")[1]
    alice.quit()
    with open(stage.path("a.db"), "rb") as file:
        data = file.read()
    names = set(re.findall(rb"bafyr4i[a-z2-7]{52}", data))
    alice = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    address = alice.ready()[0]
    tried = 0
    for name in sorted(names)[:40]:
        if name.decode() == address.split("@")[0]:
            continue
        tried += 1
        fails(stage.start("bob", f"{name.decode()}@{host}"))
    assert tried > 0


class Nonsense(http.server.BaseHTTPRequestHandler):
    answers = [(404, b"not found"), (200, b"hello"), (200, b"{}"), (200, b"[" * 100000), (500, b"\x1b[2Jboom"),
               (200, b'{"Error":"\\u001b[31mgo away\\u001b[0m"}')]
    index = 0

    def reply(self):
        code, body = self.answers[Nonsense.index % len(self.answers)]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = reply

    def log_message(self, *unused):
        pass


def test_a_server_that_is_no_peer(stage):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        for index in range(len(Nonsense.answers)):
            Nonsense.index = index
            sentence = fails(stage.start("bob", "--connect", f"{UNKNOWN}@{host}"))
            assert host in sentence and "cannot join the room" in sentence, sentence
            assert not driver.ANSI.search(sentence), repr(sentence)
        server.shutdown()


def test_messages_can_not_reach_the_terminal(stage):
    alice = stage.start("alice", "--create-only")
    ticket = alice.ready()[1]
    rows = [
        row("\x1b[2J\x1b[Hclear"), row("\x1b]0;title\x07"), row("a\r\nfake: line"), row("\u202eevil"), row("\u009b31mred"),
        row("o" + "\u0301" * 200 + " piled"), row("x" * 20000 + " long"), row("author", author="al\x1b[31mice\n"),
        row("author too long", author="n" * 5000), row("zero\u0000byte"),
    ]
    given = "".join(f"k{number:02d}\t{text}\n" for number, text in enumerate(rows))
    assert "done" in peer("rows", ticket, given=given)
    alice.send("still here")
    alice.wait_for("alice: still here")
    alice.wait_for("zero.x00byte")
    lines = [line for line in alice.out if line.startswith("[")]
    assert len(lines) == len(rows) + 1, alice.transcript()
    for line in lines:
        assert not driver.ANSI.search(line) and "\u202e" not in line, repr(line)
        assert len(line) < 17000
    text = "\n".join(lines)
    for part in ("\\x1b[2J\\x1b[Hclear", "\\x1b]0;title\\x07", "a\\r\\nfake: line", "\\u{202e}evil", "\\x9b31mred",
                 "o" + "\u0301" * 4 + " piled", "al\\x1b[31mice\\n: author", "n" * 96 + "…: author too long"):
        assert part in text, f"{part!r} is missing\n{text}"
    assert " long" not in [line for line in lines if "xxxx" in line][0]


def test_bad_rows_are_skipped(stage):
    alice = stage.start("alice", "--create-only")
    ticket = alice.ready()[1]
    rows = ["null", "17", "[]", "\"text\"", "{}", '{"id":"1"}', row("no time", time_text="soon"), row(""), row(7), row({"a": 1}),
            json.dumps({"author": "m", "content": "no id", "timestamp": TIME}),
            json.dumps({"id": 5, "author": "m", "content": "id is a number", "timestamp": TIME}),
            row("deep", more=json.loads("[" * 60 + "]" * 60))]
    given = "".join(f"k{number:02d}\t{text}\n" for number, text in enumerate(rows))
    given += f"good\t{row('the good one', extra=[1, None, True])}\n"
    assert "done" in peer("rows", ticket, given=given)
    alice.wait_for("mallory: the good one")
    bad = [m for m in alice.messages() if m not in ("mallory: the good one", "mallory: deep")]
    assert bad == [], bad


def test_times_far_away_do_not_hurt(stage):
    alice = stage.start("alice", "--create-only")
    ticket = alice.ready()[1]
    given = (f"k1\t{row('future', time_text='9999-12-31T23:59:59.999999999Z')}\n"
             f"k2\t{row('past', time_text='0000-01-01T00:00:00Z')}\n")
    peer("rows", ticket, given=given)
    alice.wait_for(r"^\[23:59:59\] mallory: future")
    alice.wait_for(r"^\[00:00:00\] mallory: past")


def test_changed_and_deleted_rows(stage):
    alice = stage.start("alice", "--create-only")
    ticket = alice.ready()[1]
    peer("rows", ticket, given=f"k1\t{row('first')}\n")
    alice.wait_for("mallory: first")
    peer("rows", ticket, given=f"k1\t{row('changed')}\n")
    peer("delete", ticket, given="k1\n")
    peer("rows", ticket, given=f"k2\t{row('second')}\n")
    alice.wait_for("mallory: second")
    # Line mode prints a message once; a newcomer sees only what is left.
    assert alice.messages() == ["mallory: first", "mallory: second"], alice.messages()
    bob = stage.start("bob", ticket)
    bob.wait_for("mallory: second")
    assert bob.messages() == ["mallory: second"]


def test_messages_of_another_type(stage):
    alice = stage.start("alice", "--create-only")
    ticket = alice.ready()[1]
    peer("document", ticket)
    alice.send("hello")
    alice.wait_for("the message could not be written: ", lines=alice.err)
    assert alice.messages() == []
    assert alice.stop() == 0


def test_members_can_not_rename_the_room(stage):
    alice = stage.start("alice", "--create-only", "--room-name", "Mine")
    ticket = alice.ready()[1]
    assert "EID_ERR_PERMISSION_DENIED" in peer("rename", ticket)
    bob = stage.start("bob", ticket)
    assert bob.ready()[2] == "Mine"


class Closed:
    """A room that lets nobody in by itself."""

    def __enter__(self):
        self.process = subprocess.Popen([PEER, "closed"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ticket = self.process.stdout.readline().strip().removeprefix("ticket: ")
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        try:
            self.process.wait(driver.WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split(": ")[1])


# Feature 153
def test_waiting_for_an_admin(stage):
    with Closed() as room:
        bob = stage.start("bob", room.ticket)
        bob.wait_for("waiting for an admin of the room", lines=bob.err)
        assert bob.process.poll() is None and not bob.out
        # Asking again is the same request, not another one.
        bob.wait_for("waiting for an admin of the room", lines=bob.err, start=len(bob.err))
        assert room.tell("requests") == 1
        assert room.tell("approve") == 1
        assert bob.ready()[2] == "Closed"
        bob.send("let in")
        bob.wait_for("bob: let in")
        bob.ask("/sync", "^synced: ")


def test_giving_up_the_wait(stage):
    with Closed() as room:
        bob = stage.start("bob", room.ticket)
        bob.wait_for("waiting for an admin of the room", lines=bob.err)
        assert bob.stop() != 0
        assert not bob.out


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]

if __name__ == "__main__":
    PEER = sys.argv[2]
    sys.exit(driver.run(TESTS, sys.argv[1]))
