# SPDX-License-Identifier: Apache-2.0
"""Two real chat processes over loopback HTTP: create, join, talk, lose each other, write alone, come together.

    demo.py PROGRAM

Ends with 0 only when both sides show the same messages and report the same state hash.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chat"))
import driver  # noqa: E402

WAIT = 20.0


def say(text):
    print(f"\n== {text}", flush=True)


def echo(label, line):
    print(f"   {label:>5} | {line}", flush=True)


def both_see(chats, text):
    for chat in chats:
        chat.wait_for(text, WAIT)


def demonstrate(stage):
    say("1. Alice makes a room. It is a database in her own file; every change in it is signed with her key.")
    alice = stage.start("alice", "--create-only", "--room-name", "Demo", "--data", stage.path("alice.db"))
    address, ticket, _ = alice.ready()

    say("2. She gives the ticket to Bob. He has nothing but the ticket: his program asks hers for access and fetches the room.")
    bob = stage.start("bob", "--data", stage.path("bob.db"), ticket)
    bob.ready()

    say("3. Both talk. Each message is one signed entry that travels over HTTP.")
    alice.send("Hello Bob, do you read me?")
    both_see((alice, bob), "alice: Hello Bob")
    bob.send("Loud and clear.")
    both_see((alice, bob), "bob: Loud and clear")

    say("4. Bob's program is stopped (SIGTERM). Alice goes on writing.")
    if bob.stop(signal.SIGTERM, WAIT) != 0:
        raise driver.Failure("bob's program did not end in order\n" + bob.transcript())
    alice.send("Bob? You missed this one.")
    alice.wait_for("alice: Bob\\? You missed")

    say("5. Now Alice's program is killed in the hard way (kill -9). Nobody serves the room any more.")
    alice.stop(signal.SIGKILL, WAIT)

    say("6. Bob starts again, alone. His file holds the whole room, so he reads and writes without anybody.")
    bob = stage.start("bob", "--data", stage.path("bob.db"))
    bob.ready()
    bob.wait_for("alice: Hello Bob", WAIT)
    bob.wait_for("offline: (.*)", WAIT, lines=bob.err)
    print("         (Bob's program says it is offline and keeps trying)")
    bob.send("Nobody there, so I write for later.")
    bob.send("And one more line.")
    bob.wait_for("bob: And one more line")
    alone, entries = bob.state()

    say(f"7. Alice comes back at the same address, {address.split('@')[1]}. The two histories have grown apart; they merge by themselves.")
    alice = stage.start("alice", "--create-only", "--data", stage.path("alice.db"))
    if alice.ready()[0] != address:
        raise driver.Failure("alice did not get her address back\n" + alice.transcript())
    both_see((alice, bob), "alice: Bob\\? You missed")
    both_see((alice, bob), "bob: And one more line")
    together, total = driver.converged((alice, bob), WAIT)

    say("8. The same messages, the same state?")
    seen = [sorted(set(chat.messages())) for chat in (alice, bob)]
    if seen[0] != seen[1] or len(seen[0]) != 5:
        raise driver.Failure(f"the messages differ: {seen[0]} and {seen[1]}")
    if together == alone or total <= entries:
        raise driver.Failure("nothing was merged")
    for chat in (alice, bob):
        if chat.stop(signal.SIGTERM, WAIT) != 0:
            raise driver.Failure(f"{chat.label}'s program did not end in order\n{chat.transcript()}")
    print(f"\nYes: {len(seen[0])} messages and {total} signed entries on both sides, state {together[:16]}...")


def main(program):
    if not os.access(program, os.X_OK):
        print(f"{program} is not there: build it first (make run does)")
        return 1
    started = time.monotonic()
    try:
        with driver.Stage(program, echo) as stage:
            demonstrate(stage)
    except driver.Failure as failure:
        print(f"\nThe demonstration failed: {failure}")
        return 1
    print(f"The demonstration took {time.monotonic() - started:.1f} seconds.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
