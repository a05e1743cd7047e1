# SPDX-License-Identifier: Apache-2.0
"""Runs eidetica-chat processes in line mode and waits, with a bound, for what they print."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

# Generous, because the sanitizers make everything slow; nothing waits this long when it works.
WAIT_SECONDS = 60.0
REFRESH = "0.2"

ANSI = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Failure(Exception):
    """What was waited for did not happen."""


class Chat:
    """One process. `out` and `err` are the lines it has printed so far."""

    def __init__(self, program, *arguments, label="chat", refresh=REFRESH, env=None, echo=None):
        self.label = label
        self.out, self.err = [], []
        self.changed = threading.Condition()
        self.echo = echo
        command = [program, "--transport", "http", "--refresh", refresh, *arguments]
        # Text is decoded by hand: whether raw control bytes come through is one of the questions.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**os.environ, "TZ": "UTC", **(env or {})})
        self.readers = [threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
                        for pipe, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))]
        for reader in self.readers:
            reader.start()

    def _read(self, pipe, lines):
        for raw in pipe:
            line = raw.decode("utf-8", "backslashreplace").rstrip("\n")
            with self.changed:
                lines.append(line)
                self.changed.notify_all()
            if self.echo and lines is self.out:
                self.echo(self.label, line)
        with self.changed:
            self.changed.notify_all()

    def send(self, text):
        self.process.stdin.write((text + "\n").encode())
        self.process.stdin.flush()

    def close_input(self):
        self.process.stdin.close()

    def wait_for(self, pattern, seconds=WAIT_SECONDS, lines=None, start=0):
        """The match of the first line from `start` on that holds the pattern."""
        lines = self.out if lines is None else lines
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                for line in lines[start:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                left = deadline - time.monotonic()
                ended = self.process.poll() is not None and not any(r.is_alive() for r in self.readers)
                if left <= 0 or ended:
                    why = f"ended with {self.process.returncode}" if ended else f"printed nothing like it in {seconds:.0f} s"
                    raise Failure(f"{self.label}: waited for /{pattern}/, but it {why}\n{self.transcript()}")
                self.changed.wait(min(left, 0.5))

    def ask(self, command, pattern, seconds=WAIT_SECONDS):
        """Sends a command and waits for its answer."""
        with self.changed:
            start = len(self.out)
        self.send(command)
        return self.wait_for(pattern, seconds, start=start)

    def ready(self):
        """Waits for the three lines every chat begins with; returns (address, ticket, name)."""
        return tuple(self.wait_for(f"^{word}: (.*)$").group(1) for word in ("room", "ticket", "name"))

    def state(self):
        """(state hash, number of entries)"""
        match = self.ask("/hash", r"^state ([0-9a-f]{64}) entries (\d+)$")
        return match.group(1), int(match.group(2))

    def messages(self):
        """The messages printed so far, without their times."""
        return [match.group(1) for match in map(re.compile(r"^\[\d\d:\d\d:\d\d\] (.*)$").match, list(self.out)) if match]

    def wait_end(self, seconds=WAIT_SECONDS):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.label}: still runs after {seconds:.0f} s\n{self.transcript()}") from None
        for reader in self.readers:
            reader.join(seconds)
        return code

    def stop(self, number=signal.SIGTERM, seconds=WAIT_SECONDS):
        """Sends the signal and waits for the end; the exit code (negative: the signal that ended it)."""
        self.process.send_signal(number)
        return self.wait_end(seconds)

    def quit(self):
        self.send("/quit")
        code = self.wait_end()
        if code != 0:
            raise Failure(f"{self.label}: ended with {code}\n{self.transcript()}")

    def discard(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except OSError:
                pass

    def transcript(self):
        text = [f"--- {self.label}, standard output:", *self.out, f"--- {self.label}, standard error:", *self.err]
        return "\n".join(ANSI.sub("?", line) for line in text)


class Stage:
    """A temporary folder and the processes started in it; leaves neither behind."""

    def __init__(self, program, echo=None):
        self.program = program
        self.echo = echo
        self.folder = tempfile.mkdtemp(prefix="eidetica-chat-")
        self.chats = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for chat in self.chats:
            chat.discard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, label, *arguments, **options):
        chat = Chat(self.program, "-u", label, *arguments, label=label, echo=self.echo, **options)
        self.chats.append(chat)
        return chat


def converged(chats, seconds=WAIT_SECONDS):
    """Waits until all chats report the same state hash and the same number of entries; returns them."""
    deadline = time.monotonic() + seconds
    while True:
        states = {chat.state() for chat in chats}
        if len(states) == 1:
            return states.pop()
        if time.monotonic() > deadline:
            raise Failure("the peers did not come together:\n" + "\n".join(chat.transcript() for chat in chats))
        time.sleep(0.1)


def run(tests, program):
    """Runs the functions; prints what each does. The exit code."""
    failures = 0
    for test in tests:
        started = time.monotonic()
        try:
            with Stage(program) as stage:
                test(stage)
        except (Failure, AssertionError, OSError) as error:
            failures += 1
            print(f"FAILED {test.__name__}: {error}")
        else:
            print(f"ok {test.__name__} ({time.monotonic() - started:.1f} s)")
    return 1 if failures else 0
