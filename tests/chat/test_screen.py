# SPDX-License-Identifier: Apache-2.0
"""The screen, as a person sees it: the chat runs inside tmux, keys are sent, the picture is read back.

    test_screen.py PROGRAM
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import driver

SKIPPED = 77
WIDTH, HEIGHT = 100, 30


class Screen:
    """A chat in its own tmux server. After the program a shell tells how it ended and what became of the terminal."""

    def __init__(self, stage, label, *arguments, width=WIDTH, height=HEIGHT):
        self.tmux = ["tmux", "-f", "/dev/null", "-S", stage.path(f"tmux-{label}")]
        self.pid_file = stage.path(f"pid-{label}")
        command = shlex.join([stage.program, "--transport", "http", "--refresh", driver.REFRESH, "-u", label, *arguments])
        script = (f"sh -c 'echo $$ > {self.pid_file}; exec \"$@\"' sh {command}; echo EXIT=$?; "
                  "stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e icanon | tr '\\n' ' '; echo RESTORED; cat")
        self.run("new-session", "-d", "-x", str(width), "-y", str(height), script,
                 env={**os.environ, "TERM": "xterm-256color", "TZ": "UTC"})

    def run(self, *arguments, env=None):
        return subprocess.run([*self.tmux, *arguments], check=True, capture_output=True, text=True, env=env).stdout

    def keys(self, *keys):
        self.run("send-keys", *keys)

    def type(self, text):
        self.run("send-keys", "-l", text)

    def picture(self):
        return self.run("capture-pane", "-p").split("\n")

    def cursor(self):
        column, row = self.run("display-message", "-p", "#{cursor_x} #{cursor_y}").split()
        return int(column), int(row)

    def resize(self, width, height):
        self.run("resize-window", "-x", str(width), "-y", str(height))

    def signal(self, number):
        with open(self.pid_file, encoding="ascii") as file:
            os.kill(int(file.read()), number)

    def until(self, condition, what):
        """Waits until the picture (one text) fulfils the condition; returns it."""
        deadline = time.monotonic() + driver.WAIT_SECONDS
        while True:
            picture = "\n".join(self.picture())
            if condition(picture):
                return picture
            if time.monotonic() > deadline:
                raise driver.Failure(f"waited for {what}, but the screen shows\n{picture}")
            time.sleep(0.05)

    def shows(self, pattern):
        return self.until(lambda picture: re.search(pattern, picture), f"/{pattern}/")

    def hides(self, pattern):
        return self.until(lambda picture: not re.search(pattern, picture), f"/{pattern}/ to go")

    def ends(self, code=0):
        picture = self.shows("RESTORED")
        assert f"EXIT={code}" in picture, picture
        assert re.search("echo icanon RESTORED|icanon echo RESTORED", picture), f"the terminal was not restored:\n{picture}"
        assert self.run("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, check=False)


def enter_room(stage, label="alice", *arguments, **options):
    """Creates a room and goes in; returns the screen and the ticket."""
    screen = Screen(stage, label, *arguments, **options)
    picture = screen.shows("Press Enter to enter the room")
    # A long line is wrapped by the terminal.
    ticket = re.search(r"Ticket: *(eidetica:\?db=\S+)", screen.run("capture-pane", "-p", "-J")).group(1)
    assert f"You are: {label}" in picture
    screen.keys("Enter")
    screen.shows(r"Messages \(\d+\)")
    return screen, ticket


def with_screen(test):
    """Closes the tmux servers, whatever happens."""
    def wrapped(stage):
        opened = []
        original = Screen.__init__

        def remember(self, *arguments, **options):
            opened.append(self)
            original(self, *arguments, **options)

        Screen.__init__ = remember
        try:
            test(stage)
        finally:
            Screen.__init__ = original
            for screen in opened:
                screen.close()
    wrapped.__name__ = test.__name__
    return wrapped


# Features 156, 166
@with_screen
def test_layout(stage):
    screen, ticket = enter_room(stage, "alice", "--room-name", "Tea")
    picture = screen.picture()
    assert picture[0].startswith("┌Room Address─") and picture[0].rstrip().endswith("┐"), picture[0]
    joined = "".join(line.strip("│ \n") for line in picture[1:4])
    assert "Tea | Share this room:" in joined and ticket in joined.replace(" ", ""), joined
    assert any("Room created! Share this address:" in line for line in picture), picture
    assert any(line.startswith("┌Messages (0) - ESC to leave room─") for line in picture), picture
    assert picture[HEIGHT - 3].startswith("┌Type your message (Enter to send)─"), picture
    assert any("serving on 127.0.0.1:" in line for line in picture), picture
    assert screen.cursor() == (1, HEIGHT - 2)
    screen.type("x")
    screen.hides("Room created!")
    screen.keys("Escape")
    screen.ends()


# Features 155, 166
@with_screen
def test_conversation(stage):
    screen, ticket = enter_room(stage)
    bob = stage.start("bob", ticket)
    bob.ready()
    bob.send("good morning")
    screen.shows(r"│\[\d\d:\d\d:\d\d\] bob: good morning")
    screen.type("quite a quiet Q")  # upstream, the first q ended the program
    screen.shows("│quite a quiet Q")
    screen.keys("Enter")
    screen.shows(r"\[\d\d:\d\d:\d\d\] alice: quite a quiet Q")
    screen.shows(r"Messages \(2\)")
    bob.wait_for("alice: quite a quiet Q")
    assert screen.cursor() == (1, HEIGHT - 2)
    screen.keys("Enter")  # nothing typed, nothing sent
    screen.type("   ")
    screen.keys("Enter")
    bob.send("end")
    screen.shows(r"Messages \(3\)")
    screen.keys("Escape")
    screen.ends()


@with_screen
def test_editing(stage):
    screen, _ = enter_room(stage)
    screen.type("hllo")
    screen.keys("Home", "Right")
    screen.type("e")
    screen.shows("│hello ")
    assert screen.cursor() == (3, HEIGHT - 2), screen.cursor()
    screen.keys("End", "BSpace", "BSpace")
    screen.shows("│hel ")
    screen.keys("Home", "DC")
    screen.shows("│el ")
    screen.keys("End")
    screen.type(" 世界")
    screen.shows("│el 世界 ")
    assert screen.cursor() == (1 + 3 + 4, HEIGHT - 2), screen.cursor()
    screen.keys("Left")
    screen.until(lambda _: screen.cursor() == (1 + 3 + 2, HEIGHT - 2), "the cursor to pass a wide character")
    screen.keys("BSpace", "Enter")
    screen.shows("alice: el 界")
    screen.type("x" * 150 + "END")
    screen.shows("│x+END │")
    assert screen.cursor() == (WIDTH - 2, HEIGHT - 2), screen.cursor()
    screen.keys("Enter")
    screen.shows("END")
    # Keys without a meaning, one of them unknown to curses, with text right behind them.
    screen.keys("F5")
    screen.keys("-H", *[f"{byte:02x}" for byte in b"\x1bx\x1b[1;9Rstill here"])
    screen.keys("Enter")
    screen.shows("alice: still here")


# Feature 166
@with_screen
def test_scrolling(stage):
    screen, ticket = enter_room(stage)
    bob = stage.start("bob", ticket)
    bob.ready()
    for number in range(60):
        bob.send(f"line number {number:02d}")
    screen.shows("line number 59")
    picture = screen.shows(r"Messages \(60\)")
    assert "line number 00" not in picture and "█" in picture
    screen.keys("Up")
    screen.hides("line number 59")
    screen.keys("Down")
    screen.shows("line number 59")
    screen.keys(*["PPage"] * 6)
    screen.shows("line number 00")
    before = [line for line in screen.picture() if "line number" in line]
    assert before[0].startswith("│[") and "line number 00" in before[0]
    bob.send("arrived below")
    screen.shows(r"Messages \(61\)")
    after = [line for line in screen.picture() if "line number" in line]
    assert [line[:40] for line in before] == [line[:40] for line in after], "the view moved while reading"
    screen.keys(*["NPage"] * 6)
    screen.shows("arrived below")
    # Sending goes back to the newest.
    screen.keys("PPage", "PPage")
    screen.hides("arrived below")
    screen.type("mine")
    screen.keys("Enter")
    screen.shows("alice: mine")


@with_screen
def test_long_messages_are_wrapped(stage):
    screen, ticket = enter_room(stage)
    bob = stage.start("bob", ticket)
    bob.ready()
    words = " ".join(f"word{number}" for number in range(60))
    bob.send(words)
    picture = screen.shows("word59")
    inside = "".join(line.strip("│\n") for line in picture.split("\n") if "word" in line)
    assert re.sub(r"\s+", " ", inside).strip().endswith(words), inside
    assert all(len(line) <= WIDTH for line in picture.split("\n"))


@with_screen
def test_hostile_text_stays_inside(stage):
    screen, ticket = enter_room(stage, "alice", "--room-name", "T\x1b[2J")
    mallory = stage.start("mal\x1b[31mlory", ticket)
    mallory.ready()
    mallory.send("\x1b[2J\x1b[H\x1b[31mcleared?")
    mallory.send("wide 世界世界 and mark e\u0301")
    picture = screen.shows(r"mal\\x1b\[31mlory: \\x1b\[2J\\x1b\[H\\x1b\[31mcleared\?")
    assert "T\\x1b[2J | Share this room" in picture
    lines = screen.shows("wide 世界世界 and mark").split("\n")
    assert lines[0].startswith("┌Room Address") and lines[HEIGHT - 3].startswith("┌Type your message")


@with_screen
def test_resizing(stage):
    screen, ticket = enter_room(stage)
    bob = stage.start("bob", ticket)
    bob.ready()
    for number in range(30):
        bob.send(f"a somewhat longer message, number {number:02d}")
    screen.shows("number 29")
    screen.type("half a message")
    for width, height in ((60, 20), (40, 12), (140, 45), (26, 8)):
        screen.resize(width, height)
        picture = screen.until(
            lambda p, w=width, h=height: p.split("\n")[h - 3].startswith("┌Type your") and
            len(p.split("\n")[h - 3].rstrip()) == w and p.split("\n")[h - 1].rstrip().endswith("┘"),
            f"the layout at {width} x {height}")
        assert "half a message" in picture
        assert "29" in picture
        assert screen.cursor() == (1 + len("half a message"), height - 2)
    screen.resize(20, 5)
    screen.shows("Window too small")
    screen.resize(WIDTH, HEIGHT)
    screen.shows("number 29")
    screen.keys("Enter")
    bob.wait_for("alice: half a message")
    screen.keys("Escape")
    screen.ends()


@with_screen
def test_connection_is_shown(stage):
    alice = stage.start("alice", "--create-only", "--room-name", "Served")
    _, ticket, _ = alice.ready()
    screen = Screen(stage, "bob", ticket)
    picture = screen.shows("online, in step")
    assert "Served | Share this room" in picture  # upstream, a joiner saw "Unknown Room"
    alice.stop(signal.SIGKILL)
    screen.shows("offline: cannot reach 127.0.0.1:")
    screen.type("written alone")
    screen.keys("Enter")
    screen.shows("bob: written alone")
    screen.keys("Escape")
    screen.ends()


@with_screen
def test_a_silent_peer_does_not_freeze_the_screen(stage):
    alice = stage.start("alice", "--create-only")
    address, ticket, _ = alice.ready()
    screen = Screen(stage, "bob", ticket)
    screen.shows("online, in step")
    alice.stop(signal.SIGKILL)
    host, port = address.split("@")[1].split(":")
    with socket.create_server((host, int(port))):
        time.sleep(1)  # by now a sync hangs
        started = time.monotonic()
        screen.type("fluent")
        screen.shows("│fluent")
        screen.keys("Enter")
        screen.shows("bob: fluent")
        assert time.monotonic() - started < 5, "the screen waited for the network"
        started = time.monotonic()
        screen.keys("Escape")
        screen.ends()
        assert time.monotonic() - started < 10, "leaving waited for the network"


@with_screen
def test_signals_restore_the_terminal(stage):
    for number, name in ((signal.SIGTERM, "term"), (signal.SIGINT, "int"), (signal.SIGHUP, "hup")):
        screen, _ = enter_room(stage, name)
        screen.type("half")
        screen.shows("│half")
        screen.signal(number)
        screen.ends()


@with_screen
def test_interrupt_before_the_screen(stage):
    screen = Screen(stage, "alice")
    screen.shows("Press Enter to enter the room")
    screen.keys("C-c")
    screen.ends()


@with_screen
def test_plain_on_a_terminal(stage):
    screen = Screen(stage, "alice", "--plain")
    screen.shows("^room: ")
    screen.type("typed")
    screen.keys("Enter")
    screen.shows(r"\[\d\d:\d\d:\d\d\] alice: typed")
    screen.type("/quit")
    screen.keys("Enter")
    screen.ends()


@with_screen
def test_unknown_terminal(stage):
    screen = Screen(stage, "alice")
    screen.close()
    run = subprocess.run(["script", "-qec", f"{shlex.quote(stage.program)} -u x", "/dev/null"], input="\n\n",
                         capture_output=True, text=True, timeout=driver.WAIT_SECONDS,
                         env={**os.environ, "TERM": "no-such-terminal"}) if shutil.which("script") else None
    if run is None:
        print("   skipped the unknown terminal: script(1) is not installed")
        return
    assert "this terminal can not show the screen; use --plain" in run.stdout, run.stdout


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]

if __name__ == "__main__":
    if shutil.which("tmux") is None:
        print("skipped: tmux is not installed, and the screen is tested inside it")
        sys.exit(SKIPPED)
    sys.exit(driver.run(TESTS, sys.argv[1]))
