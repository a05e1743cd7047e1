# SPDX-License-Identifier: Apache-2.0
"""Three processes whose engines carry every message: nobody asks for a sync, and the refresh comes once an hour.

    test_engine.py PROGRAM
"""

import signal
import statistics
import sys
import time

import driver

HOUR = "3600"


def seen_after(writer, readers, text):
    """Seconds until the last of the readers shows the message."""
    begin = time.monotonic()
    writer.send(text)
    for reader in readers:
        reader.wait_for(f": {text}$")
    return time.monotonic() - begin


def three(stage, *extra):
    alice = stage.start("alice", "--data", stage.path("a.db"), "--room-name", "Engine", refresh=HOUR)
    ticket = alice.ready()[1]
    bob = stage.start("bob", "--data", stage.path("b.db"), ticket, refresh=HOUR)
    bob.ready()
    carol = stage.start("carol", "--data", stage.path("c.db"), ticket, refresh=HOUR)
    carol.ready()
    return alice, bob, carol, ticket


# Feature 155
def test_messages_reach_all_within_milliseconds(stage):
    alice, bob, carol, _ = three(stage)
    # Bob and Carol know Alice alone: what one of them writes reaches the other through her.
    for text, writer, readers in (("one", alice, (bob, carol)), ("two", bob, (alice, carol)), ("three", carol, (alice, bob))):
        seen_after(writer, readers, text)
    times = [seen_after(bob, (alice, carol), f"tick {i}") for i in range(20)]
    print(f"through another peer: median {1000 * statistics.median(times):.0f} ms, worst {1000 * max(times):.0f} ms")
    assert statistics.median(times) < 2
    assert alice.state() == bob.state() == carol.state()
    for chat in (bob, carol, alice):
        chat.quit()


# Feature 132
def test_a_killed_peer_catches_up(stage):
    alice, bob, carol, ticket = three(stage)
    seen_after(alice, (bob, carol), "all here")
    bob.stop(signal.SIGKILL)
    seen_after(carol, (alice,), "bob is away")
    seen_after(alice, (carol,), "still away")
    bob = stage.start("bob", "--data", stage.path("b.db"), refresh=HOUR)
    bob.ready()
    bob.wait_for("alice: all here")
    bob.wait_for("carol: bob is away")
    bob.wait_for("alice: still away")
    seen_after(bob, (alice, carol), "back again")
    seen_after(carol, (alice, bob), "welcome")
    assert alice.state() == bob.state() == carol.state()
    for chat in (bob, carol, alice):
        chat.quit()


def test_the_creator_comes_back(stage):
    alice, bob, carol, ticket = three(stage)
    seen_after(alice, (bob, carol), "all here")
    alice.stop(signal.SIGKILL)
    bob.send("to nobody")
    bob.wait_for("bob: to nobody")
    carol.send("to nobody either")
    alice = stage.start("alice", "--data", stage.path("a.db"), refresh=HOUR)
    alice.ready()
    for chat in (alice, bob, carol):
        chat.wait_for("bob: to nobody$", 90)
        chat.wait_for("carol: to nobody either", 90)
    deadline = time.monotonic() + 60
    while not alice.state() == bob.state() == carol.state():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for chat in (bob, carol, alice):
        chat.quit()


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]

if __name__ == "__main__":
    sys.exit(driver.run(TESTS, sys.argv[1]))
