# SPDX-License-Identifier: Apache-2.0
"""Whole processes that talk to each other in line mode.

    test_conversation.py PROGRAM
"""

import re
import signal
import sys

import driver


def pair(stage, *arguments):
    """Alice's new room, and Bob in it."""
    alice = stage.start("alice", "--room-name", "Test", *arguments)
    address, ticket, name = alice.ready()
    bob = stage.start("bob", ticket)
    assert bob.ready()[2] == name == "Test"
    return alice, bob, address, ticket


# Features 151, 156, 163, 164
def test_two_peers_talk(stage):
    alice, bob, address, ticket = pair(stage)
    room, host = address.split("@")
    assert re.fullmatch(r"bafyr4i[a-z2-7]{52}", room) and re.fullmatch(r"127\.0\.0\.1:\d+", host), address
    assert ticket == f"eidetica:?db={room}&pr=http:{host}"
    alice.send("hello")
    bob.wait_for(r"^\[\d\d:\d\d:\d\d\] alice: hello$")
    bob.send("hi there")
    alice.wait_for(r"^\[\d\d:\d\d:\d\d\] bob: hi there$")
    state, entries = driver.converged((alice, bob))
    assert entries >= 4
    alice.send("more")
    bob.wait_for("alice: more")
    assert driver.converged((alice, bob)) != (state, entries)
    assert alice.messages() == bob.messages() == ["alice: hello", "bob: hi there", "alice: more"]
    bob.quit()
    alice.quit()


# Features 152, 159
def test_two_peers_talk_over_iroh(stage):
    iroh = ("--transport", "Iroh", "--listen", "127.0.0.1:0")
    alice = stage.start("alice", *iroh)
    address, ticket, _ = alice.ready()
    assert re.fullmatch(r"bafyr4i[a-z2-7]{52}@endpoint[a-z2-7]+", address), address
    assert "&pr=iroh:endpoint" in ticket, ticket
    bob = stage.start("bob", *iroh, ticket)
    bob.ready()
    alice.send("hello")
    bob.wait_for("alice: hello")
    bob.send("hi there")
    alice.wait_for("bob: hi there")
    driver.converged((alice, bob))
    carol = stage.start("carol", *iroh, "--connect", address)
    carol.ready()
    carol.wait_for("bob: hi there")
    carol.quit()
    bob.quit()
    alice.quit()


# Feature 162
def test_joining_by_the_older_address(stage):
    alice = stage.start("alice")
    address, _, _ = alice.ready()
    bob = stage.start("bob", "--connect", address)
    assert bob.ready()[0].split("@")[0] == address.split("@")[0]
    bob.send("by address")
    alice.wait_for("bob: by address")


def test_history_comes_in_order(stage):
    alice = stage.start("alice")
    _, ticket, _ = alice.ready()
    expected = []
    for number in range(30):
        alice.send(f"message {number}")
        expected.append(f"alice: message {number}")
    alice.wait_for("message 29")
    bob = stage.start("bob", ticket)
    bob.wait_for("message 29")
    assert bob.messages() == expected, bob.messages()


def test_both_write_at_once(stage):
    alice, bob, _, _ = pair(stage)
    for number in range(20):
        alice.send(f"a{number}")
        bob.send(f"b{number}")
    for chat in (alice, bob):
        for text in ("alice: a19$", "bob: b19$"):
            chat.wait_for(text)
    driver.converged((alice, bob))
    expected = sorted([f"alice: a{n}" for n in range(20)] + [f"bob: b{n}" for n in range(20)])
    assert sorted(alice.messages()) == sorted(bob.messages()) == expected


def test_a_joiner_can_let_others_in(stage):
    alice, bob, _, _ = pair(stage)
    alice.send("from the founder")
    bob.wait_for("from the founder")
    alice.quit()
    ticket = bob.ask("/ticket", "^ticket: (.*)$").group(1)
    carol = stage.start("carol", ticket)
    carol.wait_for("alice: from the founder")
    carol.send("glad to be here")
    bob.wait_for("carol: glad to be here")
    driver.converged((bob, carol))


def test_commands(stage):
    alice, bob, _, ticket = pair(stage)
    assert alice.ask("/ticket", "^ticket: (.*)$").group(1) == ticket
    assert re.match("error: no peer to go to", alice.ask("/sync", "^(error|synced).*").group())
    bob.ask("/sync", r"^synced: received \d+, sent \d+$")
    alice.send("one")
    bob.wait_for("alice: one")
    hash_before = bob.state()
    bob.send("/frobnicate")
    bob.wait_for("commands are", lines=bob.err)
    bob.send("//not a command")
    bob.wait_for(r"bob: /not a command$")
    assert bob.state() != hash_before
    alice.wait_for(r"bob: /not a command$")


def test_what_is_sent(stage):
    alice, bob, _, _ = pair(stage)
    for blank in ("", "   ", "\t", "\r", "\u3000"):
        alice.send(blank)
    alice.send("  trimmed \t")
    alice.send("carriage return\r")
    alice.send("Grüße 世界 👋 \"quoted\" back\\slash {\"json\":1}")
    alice.send("quality: q Q")
    alice.process.stdin.write(b"broken \xff utf-8\n")
    alice.send("last")
    bob.wait_for("alice: last")
    assert bob.messages() == [
        "alice: trimmed", "alice: carriage return", "alice: Grüße 世界 👋 \"quoted\" back\\slash {\"json\":1}",
        "alice: quality: q Q", "alice: broken \ufffd utf-8", "alice: last"], bob.messages()


def test_long_messages(stage):
    alice, bob, _, _ = pair(stage)
    alice.send("x" * 16384)
    bob.wait_for("^.{11}alice: x{16384}$")
    alice.send("y" * 16385)
    alice.wait_for("too long .16385 bytes", lines=alice.err)
    alice.send("z" * 100000)
    alice.wait_for("a line of the input is too long", lines=alice.err)
    alice.send("after")
    bob.wait_for("alice: after")
    assert len(bob.messages()) == 2 and len(alice.messages()) == 2


# Feature 160
def test_end_of_input(stage):
    alice = stage.start("alice", "--create-only")
    _, ticket, _ = alice.ready()
    alice.close_input()
    bob = stage.start("bob", ticket)
    bob.ready()
    bob.process.stdin.write(b"first\nwithout a line end")
    bob.close_input()
    assert bob.wait_end() == 0
    # What was said last has reached the other side before the program ended.
    alice.wait_for("bob: without a line end")
    carol = stage.start("carol", ticket)
    carol.wait_for("bob: without a line end")
    assert alice.process.poll() is None
    assert alice.stop(signal.SIGTERM) == 0


def test_signals_end_in_order(stage):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        chat = stage.start("alice", "--create-only")
        chat.ready()
        chat.send("noted")
        chat.wait_for("alice: noted")
        assert chat.stop(number) == 0
        assert chat.err == []


def test_a_joiner_notices_the_loss_and_the_return(stage):
    alice = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    _, ticket, _ = alice.ready()
    bob = stage.start("bob", ticket)
    bob.ready()
    bob.wait_for("online", lines=bob.err)
    alice.stop(signal.SIGKILL)
    sentence = bob.wait_for("offline: (.*)", lines=bob.err).group(1)
    assert "cannot reach 127.0.0.1:" in sentence, sentence
    assert "cannot reach" in bob.ask("/sync", "^error: (.*)").group(1)
    seen = len(bob.err)
    alice = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    alice.ready()
    bob.wait_for("online", lines=bob.err, start=seen)
    driver.converged((alice, bob))
    # Told once, not every round.
    assert sum("offline" in line for line in bob.err) == 1, bob.err


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]

if __name__ == "__main__":
    sys.exit(driver.run(TESTS, sys.argv[1]))
