# SPDX-License-Identifier: Apache-2.0
"""DAG-CBOR values, identifiers, multibase texts, hashes and signatures against Python libraries.

    check_values.py WITNESS

Whole and damaged inputs: both sides must read the same or refuse. Where they differ on purpose the case has a name in
one of the tables below, and each name must occur.
"""

import base64
import random
import sys

import quiet_types  # noqa: F401, before the libraries it concerns
import blake3
import dag_cbor
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from multiformats import CID, multibase, multicodec, multihash

from model import Link, cid_of, link_of_bytes
from witness import (Tally, Witness, damaged, random_bytes, random_text, random_u64, seed)

VALUES = 3000
DAMAGED = 6000
IDS = 3000
TEXTS = 3000
HASHES = 400
SIGNATURES = 600


# ---- values ----

class Maker:
    def __init__(self, source):
        self.random = source
        self.binaries = [self.binary() for _ in range(300)]

    def binary(self):
        """The binary form of an identifier with a registered codec and hash."""
        kind = self.random.randrange(5)
        if kind == 0:
            return b"\x12\x20" + self.random.randbytes(32)
        codec = self.random.choice((b"\x51", b"\x55", b"\x70", b"\x71", b"\x72", b"\xa9\x02", b"\x80\x04"))
        name, size = self.random.choice((("sha2-256", 32), ("sha2-512", 64), ("sha3-256", 32), ("blake2b-256", 32),
                                         ("blake3", 32), ("blake3", 64), ("identity", self.random.randrange(65))))
        if kind < 3:
            codec, name, size = b"\x71", "blake3", 32
        return b"\x01" + codec + multihash.wrap(self.random.randbytes(size), name)

    def leaf(self, floats):
        kind = self.random.randrange(9 if floats else 8)
        if kind < 2:
            return random_u64(self.random)
        if kind == 2:
            return -1 - random_u64(self.random)
        if kind == 3:
            return random_bytes(self.random)
        if kind == 4:
            return random_text(self.random)
        if kind == 5:
            return cid_of(self.random.choice(self.binaries))
        if kind < 8:
            return self.random.choice((None, True, False))
        return self.random.uniform(-1e9, 1e9)

    def value(self, depth, floats):
        kind = self.random.random()
        if depth == 0 or kind < 0.4:
            return self.leaf(floats)
        if kind < 0.7:
            return [self.value(depth - 1, floats) for _ in range(self.random.randrange(5))]
        return {random_text(self.random, 5): self.value(depth - 1, floats) for _ in range(self.random.randrange(5))}


def has_float(value):
    if isinstance(value, dict):
        return any(has_float(item) for item in value.values())
    if isinstance(value, list):
        return any(has_float(item) for item in value)
    return isinstance(value, float)


def longest_digest(value):
    """The digest bytes of the largest identifier inside."""
    if isinstance(value, (dict, list)):
        return max(map(longest_digest, value.values() if isinstance(value, dict) else value), default=0)
    return len(value.raw_digest) if isinstance(value, CID) else 0


def depth(value):
    if isinstance(value, (dict, list)):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


# What dag-cbor reads and we refuse.
REFUSED_VALUES = {
    "a float: entries hold none": lambda value: has_float(value),
    "a digest of more than 64 bytes: the bound of an identifier": lambda value: longest_digest(value) > 64,
    "more than 256 containers in each other: the bound of the reader": lambda value: depth(value) > 256,
}
# What we read and dag-cbor refuses, by the exception.
READ_VALUES = {
    "a codec or hash that nobody registered": lambda error: isinstance(error, (multicodec.err.MulticodecKeyError,
                                                                               multihash.err.MultihashKeyError)),
}
NAMED_VALUES = {
    "a float: entries hold none": dag_cbor.encode({"a": [1.5]}),
    "a digest of more than 64 bytes: the bound of an identifier": b"\xd8\x2a\x58\x46\x00\x01\x55\x00\x41" + bytes(65),
    "more than 256 containers in each other: the bound of the reader": b"\x81" * 257 + b"\x80",
    "a codec or hash that nobody registered": b"\xd8\x2a\x49\x00\x01\x55\xff\x7f\x03\xaa\xbb\xcc",
}


def attempt(read, data):
    """What the other side reads, or the exception."""
    try:
        return read(data), None
    except Exception as error:  # pylint: disable=broad-except
        return None, error


def agree(tally, name, data, answer, want, error, refused, read_by_us):
    """Both read the same, both refuse, or the difference has a name. `want` is what we should answer."""
    about = data if isinstance(data, str) else data.hex()
    if error is None and not isinstance(answer, str):
        tally.same(name + ": both read", answer, want, about)
    elif error is not None and isinstance(answer, str):
        tally.seen(name + ": both refuse")
    else:
        table, subject = (refused, want) if error is None else (read_by_us, error)
        reasons = [reason for reason, test in table.items() if test(subject)]
        if not reasons:
            tally.fail(name, f"{about}: we: {answer}, they: {subject!r}")
        for reason in reasons:
            tally.seen(f"{name}: {'only they read' if error is None else 'only we read'} {reason}")


def compare_values(witness, maker, tally):
    values = [maker.value(4, floats=False) for _ in range(VALUES)]
    forms = [dag_cbor.encode(value) for value in values]
    for mode in ("strict", "tolerant"):
        for data, answer in zip(forms, witness.ask([["value", mode, data] for data in forms])):
            tally.same(f"values: read and written by us, {mode}", answer, [data.hex()], data.hex())

    inputs = [damaged(maker.random, data) for data in forms + forms][:DAMAGED]
    inputs += [dag_cbor.encode(maker.value(3, floats=True)) for _ in range(300)]
    inputs += NAMED_VALUES.values()
    for data, answer in zip(inputs, witness.ask([["value", "strict", data] for data in inputs])):
        value, error = attempt(dag_cbor.decode, data)
        agree(tally, "damaged values", data, answer, value if isinstance(answer, str) else [data.hex()], error,
              REFUSED_VALUES, READ_VALUES)


# ---- identifiers ----

def compare_ids(witness, maker, tally):
    ours = witness.ids(maker.random.getrandbits(32), IDS)
    for binary, text in ours:
        try:
            cid = CID.decode(text)
        except KeyError:
            tally.same("our IDs: unregistered, by base64", text, Link(binary).text())
            continue
        tally.same("our IDs: read by multiformats", bytes(cid), binary, text)
        tally.same("our IDs: written by multiformats", cid.encode(), text)

    theirs = [maker.binary() for _ in range(IDS)]
    texts = [written(maker.random, CID.decode(binary)) for binary in theirs]
    wanted = [[binary.hex(), Link(binary).text()] for binary in theirs]
    for text, answer, want in zip(texts, witness.ask([["id", text.encode("utf-8")] for text in texts]), wanted):
        tally.same("their IDs: text of any base", answer, want, text)
    for binary, answer, want in zip(theirs, witness.ask([["binary", binary] for binary in theirs]), wanted):
        tally.same("their IDs: binary", answer, want, binary.hex())

    pairs = [(maker.random.choice(ours)[0], maker.random.choice(theirs)) for _ in range(IDS)]
    pairs += [(near(maker.random, binary), binary) for binary in theirs]
    for (a, b), answer in zip(pairs, witness.ask([["order", a, b] for a, b in pairs])):
        orders = [sign(Link(a).order(), Link(b).order()), sign(Link(a).text(), Link(b).text())]
        tally.same("orders of IDs, binary and text", answer, [str(order) for order in orders], f"{a.hex()} {b.hex()}")


def near(source, binary):
    """The same identifier with another digest byte."""
    cut = source.randrange(max(4, len(binary) - 8), len(binary)) if len(binary) > 12 else len(binary)
    return binary[:cut] + source.randbytes(len(binary) - cut)


def sign(a, b):
    return (a > b) - (a < b)


# base256emoji and proquint are no bases of identifiers here, and multiformats takes "identity" for text only.
BASES = [base.name for base in multibase.table() if base.name not in ("base256emoji", "proquint", "identity")]


def encoded(data, name):
    """multiformats pads base 8 with "=", the multibase registry has it without padding."""
    text = multibase.encode(data, name)
    return text.rstrip("=") if name == "base8" else text


def written(source, cid):
    text = cid.encode() if cid.version == 0 else encoded(bytes(cid), source.choice(BASES))
    return "/ipfs/" + text if source.random() < 0.1 else text


# ---- multibase ----

# Bases 10, 36 and 58 are read up to this many bytes.
RADIX_MAX = 128

# What multiformats reads and we refuse; the test gets the text, and what it was read as.
REFUSED_TEXTS = {
    "more than 128 bytes as one number": lambda text, data: text[0] in "9kKzZ" and len(data) > RADIX_MAX,
    "half a byte in hexadecimal": lambda text, data: text[0] in "fF" and len(text) % 2 == 0,
    "capital letters in base32z, whose letters are small": lambda text, data: text[0] == "h" and text != text.lower(),
    "padding that is not the padding of the base": lambda text, data: again(text, data).count("=") != text.count("="),
    "bits behind the last byte that are not zero": lambda text, data: text[0] in "07bBcCvVtThmMuU"
    and again(text, data).rstrip("=").lower() != text.rstrip("=").lower(),
}
NAMED_TEXTS = {
    "more than 128 bytes as one number": multibase.encode(b"\x01" * 129, "base58btc"),
    "half a byte in hexadecimal": "f123",
    "capital letters in base32z, whose letters are small": "hYY",
    "padding that is not the padding of the base": "MAA",
    "bits behind the last byte that are not zero": "baf",
}
BASE_CODES = {multibase.get(name).code for name in BASES}


def again(text, data):
    """The text that the bytes are written as."""
    return encoded(data, multibase.get(code=text[0]).name)


def compare_bases(witness, maker, tally):
    whole, inputs = [], [*NAMED_TEXTS.values()]
    for name in BASES:
        for _ in range(TEXTS // len(BASES)):
            data = maker.random.randbytes(maker.random.randrange(RADIX_MAX + 1))
            whole.append((name, encoded(data, name), data))
    for (name, text, data), answer in zip(whole, witness.ask([["base", text.encode("ascii")] for _, text, _ in whole])):
        tally.same(f"multibase: {name}", answer, [data.hex() or "-"], text)
        changed = damaged(maker.random, text.encode("ascii"))
        if changed and changed.isascii() and chr(changed[0]) in BASE_CODES:
            inputs.append(changed.decode("ascii"))
    for text, answer in zip(inputs, witness.ask([["base", text.encode("ascii")] for text in inputs])):
        data, error = attempt(multibase.decode, text)
        if error is None:
            agree(tally, "damaged multibase", text, answer, [data.hex() or "-"], None, {
                name: lambda _, test=test, text=text, data=data: test(text, data)
                for name, test in REFUSED_TEXTS.items()
            }, {})
        else:
            agree(tally, "damaged multibase", text, answer, None, error, {}, {})


# ---- hashes and signatures ----

def compare_hashes(witness, maker, tally):
    # Around the sizes of a block, a chunk and whole trees of chunks.
    edges = [edge + step for edge in (0, 64, 1024, 2048, 4096, 65536) for step in (-1, 0, 1) if edge + step >= 0]
    lengths = edges + [maker.random.randrange(6000) for _ in range(HASHES)]
    inputs = [maker.random.randbytes(length) for length in lengths]
    questions = [["hash", maker.random.choice((0x55, 0x71)), maker.random.randrange(1, 3000), data] for data in inputs]
    for question, answer in zip(questions, witness.ask(questions)):
        _, codec, chunk, data = question
        want = [link_of_bytes(data, codec).cid().encode("base32"), blake3.blake3(data).hexdigest()]
        tally.same("hashes", answer, want, f"{len(data)} bytes in pieces of {chunk}")


def compare_signatures(witness, maker, tally):
    keys = [Ed25519PrivateKey.from_private_bytes(maker.random.randbytes(32)) for _ in range(SIGNATURES)]
    messages = [random_bytes(maker.random, 300) for _ in keys]
    questions = [["sign", key.private_bytes_raw(), message] for key, message in zip(keys, messages)]
    checks = []
    for key, message, answer in zip(keys, messages, witness.ask(questions)):
        public = "ed25519:" + base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")
        signature = key.sign(message)
        tally.same("signatures: key and signature", answer, [public, base64.b64encode(signature).decode("ascii")])
        for sealed, said in ((signature, message), (changed_bit(maker.random, signature), message),
                             (signature, damaged(maker.random, message))):
            checks.append((key, public, said, sealed))
    for (key, public, message, signature), answer in zip(
            checks, witness.ask([["verify", public, message, signature] for _, public, message, signature in checks])):
        try:
            key.public_key().verify(signature, message)
            want = []
        except InvalidSignature:
            want = "EID_ERR_BAD_SIGNATURE"
        tally.same("signatures: " + ("refused" if want else "accepted"), answer, want, signature.hex())


def changed_bit(source, data):
    place = source.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << source.randrange(8)]) + data[place + 1:]


def main(path):
    number = seed()
    witness, maker, tally = Witness(path), Maker(random.Random(number)), Tally()
    compare_values(witness, maker, tally)
    compare_ids(witness, maker, tally)
    compare_bases(witness, maker, tally)
    compare_hashes(witness, maker, tally)
    compare_signatures(witness, maker, tally)
    return tally.close(["damaged values: only they read " + name for name in REFUSED_VALUES] +
                       ["damaged values: only we read " + name for name in READ_VALUES] +
                       ["damaged multibase: only they read " + name for name in REFUSED_TEXTS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
