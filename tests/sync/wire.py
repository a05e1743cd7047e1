# SPDX-License-Identifier: Apache-2.0
"""A switch for network namespaces: what one peer's interface sends arrives at the others' later, or never.

Each peer has a namespace with one interface, eth0. Where the kernel has netem, `tc` delays and loses; where it has not, the
switch does the same to each frame. The switch parts the network too. All of it lives in a namespace of its own and
ends with this process; nothing of the machine's network is touched."""

import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def enter_namespace():
    """Starts this program again in a network of its own, where it may do what it likes."""
    if os.environ.get("EID_TEST_IN_NAMESPACE") == "1":
        return
    for tool in ("unshare", "ip", "tc", "mount"):
        if shutil.which(tool) is None:
            skip(f"there is no program \"{tool}\" (Debian: iproute2, util-linux)")
    rights = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *rights, "--net", "--mount"]
    try:
        run(*unshare, "mount", "-t", "tmpfs", "none", "/run")
    except subprocess.CalledProcessError as failure:
        skip(f"network namespaces are not permitted here: {failure.stderr.decode().strip()}")
    os.environ["EID_TEST_IN_NAMESPACE"] = "1"
    os.execvp("unshare", [*unshare, sys.executable, "-B", *sys.argv])


class Wire:
    def __init__(self, count, delay_ms, jitter_ms, loss_percent, seed):
        self.chance = random.Random(seed)
        self.delay_ms, self.jitter_ms, self.loss_percent = delay_ms, jitter_ms, loss_percent
        self.down = set()
        self.carried = self.lost = 0
        run("mount", "-t", "tmpfs", "none", "/run")
        try:
            self.ports = [self._port(number) for number in range(count)]
        except (OSError, subprocess.CalledProcessError) as failure:
            skip(f"interfaces can not be made here: {getattr(failure, 'stderr', None) or failure}")
        self.netem = all([self._netem(number) for number in range(count)])
        threading.Thread(target=self._switch, daemon=True).start()

    @staticmethod
    def space(number):
        return f"peer{number}"

    @staticmethod
    def address(number):
        return f"10.77.0.{number + 1}:4000"

    def command(self, number, *words):
        """What runs these words inside the peer's namespace."""
        return ["ip", "netns", "exec", self.space(number), *words]

    def _port(self, number):
        space = self.space(number)
        port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        name = f"tap{number}"
        fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        run("ip", "netns", "add", space)
        run("ip", "link", "set", name, "netns", space, "name", "eth0")
        run("ip", "-n", space, "addr", "add", f"10.77.0.{number + 1}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "eth0", "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        return port

    def _netem(self, number):
        try:
            run("tc", "-n", self.space(number), "qdisc", "add", "dev", "eth0", "root", "netem", "delay",
                f"{self.delay_ms}ms", f"{self.jitter_ms}ms", "loss", f"{self.loss_percent}%")
            return True
        except subprocess.CalledProcessError:
            return False

    def cut(self, number):
        """Nothing comes from the peer any more, nor goes there."""
        self.down.add(number)

    def mend(self, number):
        self.down.discard(number)

    def _take(self, frame, source, waiting):
        if source in self.down:
            return
        if not self.netem and self.chance.uniform(0, 100) < self.loss_percent:
            self.lost += 1
            return
        pause = 0 if self.netem else self.delay_ms + self.chance.uniform(-self.jitter_ms, self.jitter_ms)
        # Interfaces drop what is meant for others: no table of addresses is needed.
        for target, port in enumerate(self.ports):
            if target != source:
                heapq.heappush(waiting, (time.monotonic() + pause / 1000, self.carried, target, port, frame))
        self.carried += 1

    def _deliver(self, waiting):
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, target, port, frame = heapq.heappop(waiting)
            if target in self.down:
                continue
            try:
                os.write(port, frame)
            except OSError:
                self.lost += 1  # its queue is full

    def _switch(self):
        waiting = []
        while True:
            pause = 1.0 if not waiting else max(0.0, waiting[0][0] - time.monotonic())
            for port in select.select(self.ports, [], [], pause)[0]:
                try:
                    self._take(os.read(port, 65536), self.ports.index(port), waiting)
                except BlockingIOError:
                    pass
            self._deliver(waiting)
