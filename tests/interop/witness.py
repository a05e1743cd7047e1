# SPDX-License-Identifier: Apache-2.0
"""Asking the witness, counting comparisons, and random material that several scripts need."""

import json
import os
import subprocess
import sys

SHOWN_FAILURES = 10
SHOWN_CONTEXT = 80
SHOWN_TEXT = 600


def seed():
    """EID_TEST_SEED, else 1; printed, so that a failure can be repeated."""
    number = int(os.environ.get("EID_TEST_SEED") or 1)
    print(f"seed {number}")
    return number


class Witness:
    """The program linked with the library."""

    def __init__(self, path):
        self.path = path

    def _run(self, *words, given=None):
        done = subprocess.run([self.path, *words], input=given, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(f"the witness ended with {done.returncode}")
        return done.stdout.decode("utf-8").splitlines()

    def entries(self, number, count):
        return [json.loads(line) for line in self._run("entries", str(number), str(count))]

    def ids(self, number, count):
        lines = [line.split(" ") for line in self._run("ids", str(number), str(count))]
        return [(bytes.fromhex(binary), text) for binary, text in lines]

    def ask(self, questions):
        """One answer for each question, which is a list of words (bytes become hexadecimal): a list of words, or the
        status as text."""
        given = "".join(" ".join(word(part) for part in question) + "\n" for question in questions)
        lines = self._run("answer", given=given.encode("ascii"))
        if len(lines) != len(questions):
            sys.exit(f"{len(questions)} questions, {len(lines)} answers")
        return [line.split(" ")[1:] if line[0] == "+" else line[2:] for line in lines]


def word(part):
    if isinstance(part, bytes):
        return part.hex() or "-"
    return str(part)


def unhex(text):
    return b"" if text == "-" else bytes.fromhex(text)


class Tally:
    """Counts comparisons by name. At the end nothing may have failed, and nothing that was announced may have been
    left out."""

    def __init__(self, *announced):
        self.counts = dict.fromkeys(announced, 0)
        self.failures = 0

    def fail(self, name, text):
        self.failures += 1
        if self.failures <= SHOWN_FAILURES:
            print(f"FAILED {name}: {text}")

    def seen(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1

    def same(self, name, have, want, about=""):  # about: text that names the case
        self.seen(name)
        if have != want:
            have, want = shown(have), shown(want)
            differs = len(os.path.commonprefix([have, want]))
            start = max(0, differs - SHOWN_CONTEXT)
            end = start + SHOWN_TEXT
            self.fail(name, f"{about[:SHOWN_TEXT]}\n    different from character {differs}"
                            f"\n    have …{have[start:end]}\n    want …{want[start:end]}")
        return have == want

    def close(self, required=()):
        """Prints the figures; the exit status. Of the names in `required` each must have been seen, too."""
        for name in [*self.counts, *required]:
            if self.counts.get(name, 0) == 0:
                self.fail(name, "nothing was compared")
        for name, count in self.counts.items():
            print(f"{count:8}  {name}")
        print(f"{sum(self.counts.values())} comparisons, {self.failures} failed")
        return 1 if self.failures else 0


def shown(value):
    return value.hex() if isinstance(value, bytes) else repr(value)


# Pieces of text that encodings treat differently: ends of ranges, controls, quotes, other planes.
_CHARACTERS = ["a", "b", "k", "Z", "_", " ", "\x00", "\x01", "\x1f", "\n", "\t", "\b", "\f", "\r", '"', "\\", "/",
               "\x7f", "\x80", "é", "\u07ff", "\u0800", "漢", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "😀",
               "\U0010ffff"]


def random_text(random, most=8, zero=True):
    plain = random.random() < 0.6
    length = random.randrange(0, most + 1)
    if random.random() < 0.03:
        length = random.choice((23, 24, 255, 256))
    text = "".join(random.choice("abcdexyz_0") if plain else random.choice(_CHARACTERS) for _ in range(length))
    return text if zero else text.replace("\x00", "")


_EDGES = [0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1]


def random_u64(random):
    return random.choice(_EDGES) if random.random() < 0.4 else random.getrandbits(random.randrange(1, 65))


def random_bytes(random, most=60):
    length = random.choice((23, 24, 255, 256)) if random.random() < 0.05 else random.randrange(0, most)
    return random.randbytes(length)


def damaged(random, data):
    """The bytes with one small change; possibly the same bytes."""
    data = bytearray(data)
    place = random.randrange(len(data)) if data else 0
    kind = random.randrange(6)
    if kind == 0 or not data:
        data.insert(place, random.getrandbits(8))
    elif kind == 1:
        del data[place]
    elif kind == 2:
        data[place] ^= 1 << random.randrange(8)
    elif kind == 3:
        data[place] = random.getrandbits(8)
    elif kind == 4:
        del data[place:]
    else:
        other = random.randrange(len(data))
        data[place], data[other] = data[other], data[place]
    return bytes(data)
