# SPDX-License-Identifier: Apache-2.0
"""Peers with a data file that are stopped, killed, or alone, and come back.

    test_restart.py PROGRAM
"""

import random
import signal
import socket
import sys
import time

import driver


def test_the_room_survives(stage):
    alice = stage.start("alice", "--data", stage.path("a.db"), "--room-name", "Kept")
    first = alice.ready()
    alice.send("before")
    alice.wait_for("alice: before")
    state = alice.state()
    alice.quit()
    again = stage.start("alice", "--data", stage.path("a.db"))
    assert again.ready() == first
    again.wait_for("alice: before")
    assert again.state() == state
    again.quit()


# Feature 157
def test_another_name_is_another_room(stage):
    alice = stage.start("alice", "--data", stage.path("a.db"), "--room-name", "One")
    one = alice.ready()
    alice.quit()
    alice = stage.start("alice", "--data", stage.path("a.db"), "--room-name", "Two")
    two = alice.ready()
    assert two[2] == "Two" and two[0].split("@")[0] != one[0].split("@")[0]
    alice.quit()
    alice = stage.start("alice", "--data", stage.path("a.db"))
    assert alice.ready()[2] == "Two"
    alice.quit()


def test_a_taken_port_is_told(stage):
    alice = stage.start("alice", "--data", stage.path("a.db"))
    first = alice.ready()
    alice.quit()
    host, port = first[0].split("@")[1].split(":")
    with socket.create_server((host, int(port))):
        alice = stage.start("alice", "--data", stage.path("a.db"))
        second = alice.ready()
        assert second[0] != first[0] and second[0].split("@")[0] == first[0].split("@")[0]
        alice.wait_for("is not free", lines=alice.err)
        alice.quit()


def test_rejoining_with_the_ticket_needs_nobody(stage):
    alice = stage.start("alice", "--create-only")
    _, ticket, _ = alice.ready()
    bob = stage.start("bob", "--data", stage.path("b.db"), ticket)
    bob.ready()
    alice.send("held by both")
    bob.wait_for("held by both")
    bob.quit()
    alice.stop(signal.SIGKILL)
    bob = stage.start("bob", "--data", stage.path("b.db"), ticket)
    bob.ready()
    bob.wait_for("alice: held by both")
    bob.send("alone")
    bob.wait_for("bob: alone")
    bob.quit()


def test_writing_alone_and_coming_together(stage):
    alice = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    _, ticket, _ = alice.ready()
    bob = stage.start("bob", "--data", stage.path("b.db"), ticket)
    bob.ready()
    bob.send("together")
    alice.wait_for("bob: together")
    assert bob.stop(signal.SIGTERM) == 0
    for number in range(5):
        alice.send(f"alice alone {number}")
    alice.wait_for("alice: alice alone 4")
    alice.stop(signal.SIGKILL)
    bob = stage.start("bob", "--data", stage.path("b.db"))
    bob.ready()
    for number in range(5):
        bob.send(f"bob alone {number}")
    bob.wait_for("bob: bob alone 4")
    bob.wait_for("offline", lines=bob.err)
    alice = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    alice.ready()
    for chat in (alice, bob):
        chat.wait_for("alice alone 4")
        chat.wait_for("bob alone 4")
    driver.converged((alice, bob))
    assert sorted(set(alice.messages())) == sorted(set(bob.messages()))
    assert len(set(alice.messages())) == 11


def test_a_peer_that_never_answers(stage):
    """The port is open, but nothing ever comes from it: reading, writing and leaving go on."""
    alice = stage.start("alice", "--create-only")
    address, ticket, _ = alice.ready()
    bob = stage.start("bob", "--data", stage.path("b.db"), ticket)
    bob.ready()
    alice.stop(signal.SIGKILL)
    host, port = address.split("@")[1].split(":")
    with socket.create_server((host, int(port))):
        time.sleep(1)  # by now a sync hangs
        started = time.monotonic()
        bob.send("not held up")
        bob.wait_for("bob: not held up")
        bob.state()
        assert time.monotonic() - started < 5, "the input waited for the network"
        started = time.monotonic()
        assert bob.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started < 10, "a signal waited for the network"
        bob = stage.start("bob", "--data", stage.path("b.db"))
        bob.wait_for("bob: not held up")
        started = time.monotonic()
        bob.send("/quit")
        assert bob.wait_end() == 0
        assert time.monotonic() - started < 30, "leaving waited for the network"
        assert "left without a last sync" in bob.err[-1], bob.err


def test_two_users_share_a_file(stage):
    alice = stage.start("alice", "--data", stage.path("x.db"), "--room-name", "Hers")
    alice.ready()
    alice.send("by alice")
    alice.wait_for("by alice")
    alice.quit()
    bob = stage.start("bob", "--data", stage.path("x.db"), "--room-name", "His")
    assert bob.ready()[2] == "His"
    bob.send("by bob")
    bob.wait_for("by bob")
    assert bob.messages() == ["bob: by bob"]
    bob.quit()
    alice = stage.start("alice", "--data", stage.path("x.db"))
    assert alice.ready()[2] == "Hers"
    alice.wait_for("by alice")
    assert alice.messages() == ["alice: by alice"]
    alice.quit()


def test_killed_in_the_middle_of_talking(stage):
    """What a chat has shown as written is there after kill -9, whenever it comes, and the peers still come together."""
    seed = 20251009
    print(f"   seed {seed}")
    chance = random.Random(seed)
    alice = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    _, ticket, _ = alice.ready()
    bob = stage.start("bob", "--data", stage.path("b.db"), ticket)
    bob.ready()
    shown = set()
    for turn in range(6):
        victim, other = (alice, bob) if turn % 2 else (bob, alice)
        for number in range(40):
            victim.send(f"{victim.label} {turn}-{number}")
            other.send(f"{other.label} {turn}-{number}")
        time.sleep(chance.uniform(0.0, 0.3))
        victim.stop(signal.SIGKILL)
        shown.update(victim.messages(), other.messages())
        name = "a.db" if victim is alice else "b.db"
        back = stage.start(victim.label, "--create-only", "--data", stage.path(name))
        back.ready()
        if victim is alice:
            alice = back
        else:
            bob = back
        other.wait_for(f"{other.label} {turn}-39$")
    state, entries = driver.converged((alice, bob))
    time.sleep(1)
    assert driver.converged((alice, bob)) == (state, entries)
    for chat in (alice, bob):
        chat.send("/quit")
        assert chat.wait_end() == 0
    fresh = stage.start("alice", "--create-only", "--data", stage.path("a.db"))
    fresh.ready()
    assert fresh.state() == (state, entries)
    lost = shown - set(fresh.messages())
    assert not lost, f"shown but lost: {sorted(lost)[:5]}"
    print(f"   {len(shown)} messages shown before kills, none lost; {entries} entries on both sides")


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]

if __name__ == "__main__":
    sys.exit(driver.run(TESTS, sys.argv[1]))
