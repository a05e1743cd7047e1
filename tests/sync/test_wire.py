# SPDX-License-Identifier: Apache-2.0
"""Five real processes in network namespaces, over links that delay, lose and part, and killed while they write: all end with
the same state, and nothing that was acknowledged is lost.  test_wire.py PEER_PROGRAM"""

import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import wire

PEERS = 5
SEED = 20261123
WAIT_SECONDS = 120  # generous: nothing waits so long when it works


class Peer:
    def __init__(self, lines, program, folder, number):
        self.number, self.acknowledged = number, []
        file = os.path.join(folder, f"{number}.db")
        self.process = subprocess.Popen(lines.command(number, program, file, lines.address(number)), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.line() == "ready"

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self):
        line = self.lines.get(timeout=WAIT_SECONDS)
        assert line is not None, f"peer {self.number} has ended"
        assert not line.startswith("error"), f"peer {self.number}: {line}"
        return line

    def send(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ask(self, text):
        self.send(text)
        return self.line()

    def put(self, key, text):
        answer = self.ask(f"put {key} {text}").split()
        assert answer[0] == "put"
        self.acknowledged.append(answer[1])

    def kill(self):
        """kill -9; what it had said until then was acknowledged."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        while (line := self.lines.get()) is not None:
            if line.startswith("put "):
                self.acknowledged.append(line.split()[1])
        return self.acknowledged


def join(peer, ticket):
    deadline = time.monotonic() + WAIT_SECONDS
    while (answer := peer.ask(f"join {ticket}")) != "joined":
        assert time.monotonic() < deadline, answer


def write(peers, chance, turns, label):
    for turn in range(turns):
        peer = chance.choice(peers)
        peer.put(f"k{chance.randrange(20)}", f"{label} {turn} of {peer.number}")


def converge(peers):
    deadline = time.monotonic() + WAIT_SECONDS
    while len(states := {peer.ask("state") for peer in peers}) != 1:
        assert time.monotonic() < deadline, f"they differ: {states}"
        time.sleep(0.1)
    return states.pop()


def main(program):
    began = time.monotonic()
    chance = random.Random(SEED)
    links = wire.Wire(PEERS, delay_ms=15, jitter_ms=5, loss_percent=3, seed=SEED)
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        peers = [Peer(links, program, folder, number) for number in range(PEERS)]
        peers[0].ask("make")
        for number in range(1, PEERS):  # a ring, in which each knows two others
            join(peers[number], peers[number - 1].ask("ticket"))
        join(peers[0], peers[-1].ask("ticket"))
        write(peers, chance, 40, "calm")
        print(f"   all have {converge(peers).split()[2]} entries after {time.monotonic() - began:.1f} s")

        links.cut(2)
        write(peers, chance, 40, "apart")
        for victim in (4, 0):
            for number in range(30):
                peers[victim].send(f"put k{number} to the end")
            time.sleep(chance.uniform(0.0, 0.05))
            kept += peers[victim].kill()
            write([p for p in peers if p.number != victim], chance, 10, "without one")
            peers[victim] = Peer(links, program, folder, victim)
        links.mend(2)
        write(peers, chance, 20, "together again")
        state = converge(peers)

        for peer in peers:
            kept += peer.acknowledged
        for peer in peers:
            lost = [entry for entry in kept if peer.ask(f"has {entry}") != "yes"]
            assert not lost, f"peer {peer.number} lacks {len(lost)} acknowledged entries"
        for peer in peers:
            peer.process.stdin.close()
            assert peer.process.wait(WAIT_SECONDS) == 0
    how = "by netem" if links.netem else f"by the switch (this kernel has no netem; {links.lost} frames lost)"
    print(f"   delay and loss {how}; {len(kept)} acknowledged entries at all five, {state.split()[2]} in all, "
          f"{time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    wire.enter_namespace()
    main(sys.argv[1])
