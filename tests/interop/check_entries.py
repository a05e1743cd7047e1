# SPDX-License-Identifier: Apache-2.0
"""Entries against dag-cbor, cbor2, multiformats, blake3 and cryptography, in both directions.

    check_entries.py WITNESS
"""

import base64
import json
import random
import struct
import sys

import quiet_types  # noqa: F401, before the libraries it concerns
import cbor2
import dag_cbor
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from model import (Link, converted, encode, encode_dag_cbor, json_form, json_value, link_of_bytes, planned_entry,
                   pubkey_text, rule_word, signature_word, without_signature)
from witness import Tally, Witness, damaged, random_bytes, random_text, random_u64, seed, shown, unhex

OURS = 3000
THEIRS = 3000
REFUSED = 1500


# ---- the library's entries ----

def compare_ours(line, tally):
    entry = planned_entry(line["plan"])
    have = bytes.fromhex(line["cbor"])
    tally.same("ours: made from the plan by cbor2: the same bytes", have, encode(entry), line["id"])
    tally.same("ours: signing bytes", bytes.fromhex(line["signing"]), encode(without_signature(entry)), line["id"])
    tally.same("ours: signature made by cryptography from the seed", line["signature"], entry["sig"].get("sig", ""))
    tally.same("ours: ID by blake3 and multiformats", line["id"], link_of_bytes(have).cid().encode("base32"))
    tally.same("ours: JSON form", bytes.fromhex(line["json"]), json_form(entry), line["id"])
    tally.same("ours: rules", rule_word(entry), "EID_OK")
    tally.same("ours: signature", signature_word(entry) in ("valid", "unsigned", "unnamed"), True)
    tally.same("ours: read and written by cbor2", cbor2.dumps(cbor2.loads(have), canonical=True), have)
    # dag-cbor refuses keys out of order, longer heads and whatever else is not canonical.
    made = encode_dag_cbor(entry)
    if made is None:
        tally.same("ours: with unregistered codecs, cbor2 only", line["plan"]["exotic"], True)
        return
    tally.same("ours: made from the plan by dag-cbor: the same bytes", have, made, line["id"])
    read = dag_cbor.decode(have)
    tally.same("ours: read by dag-cbor as what was planned", read, converted(entry, Link.cid))
    tally.same("ours: written again by dag-cbor", dag_cbor.encode(read), have)


# ---- their entries ----

class Maker:
    """Random entries, freer than the builder: unsorted, repeated, against the rules, malformed."""

    def __init__(self, source):
        self.random = source
        self.keys = [Ed25519PrivateKey.from_private_bytes(source.randbytes(32)) for _ in range(20)]

    def chance(self, share):
        return self.random.random() < share

    def link(self, empty=0.0):
        if self.chance(empty):
            return Link(b"")
        kind = self.random.randrange(6)
        if kind == 0:
            return Link(b"\x12\x20" + self.random.randbytes(32))
        if kind == 1:
            codec = self.random.choice((b"\x55", b"\x70", b"\xa9\x02", b"\x80\x04"))
            head, size = self.random.choice(((b"\x12\x20", 32), (b"\x13\x40", 64), (b"\x1e\x20", 32), (b"\x00\x05", 5)))
            return Link(b"\x01" + codec + head + self.random.randbytes(size))
        return Link(b"\x01\x71\x1e\x20" + self.random.randbytes(32))

    def links(self, empty=0.0, most=4):
        made = [self.link(empty) for _ in range(self.random.randrange(most))]
        if made and self.chance(0.1):
            made.append(made[0])
        return made

    def subtree(self):
        name = self.random.choice(("_root", "_settings", "data", "")) if self.chance(0.3) else random_text(self.random)
        node = {"name": name, "parents": self.links(0.02)}
        if self.chance(0.7):
            node["data"] = random_bytes(self.random, 100)
        if self.chance(0.3):
            node["h"] = random_u64(self.random)
        return node

    def hint(self, key):
        hint = {}
        if self.chance(0.6):
            hint["pubkey"] = pubkey_text(key.public_key().public_bytes_raw())
        if self.chance(0.3):
            hint["name"] = random_text(self.random)
        if self.chance(0.2):
            hint["is_global"] = True
        return hint

    def signature(self, entry, key):
        """A good one, the one of another key, a changed one, or something else."""
        kind = self.random.randrange(6)
        raw = key.sign(encode(without_signature(entry)))
        if kind == 3:
            raw = self.random.choice(self.keys).sign(b"")
        elif kind == 4:
            raw = damaged(self.random, raw)
        elif kind == 5:
            return random_text(self.random)
        return base64.b64encode(raw).decode("ascii")

    def entry(self):
        tree = {}
        if self.chance(0.7):
            tree["root"] = self.link()
        tree["parents"] = self.links(0.02)
        if self.chance(0.6):
            tree["metadata"] = random_bytes(self.random, 100)
        height = random_u64(self.random)
        if height:
            tree["h"] = height
        subtrees = [self.subtree() for _ in range(self.random.randrange(4))]
        if subtrees and self.chance(0.05):
            subtrees.append(dict(subtrees[0]))
        key = self.random.choice(self.keys)
        alternative = {"Direct": {"hint": self.hint(key) if self.chance(0.8) else {}}}
        if self.chance(0.3):
            path = [{"tree": self.link(0.05), "tips": self.links(0.05)} for _ in range(self.random.randrange(4))]
            alternative = {"Delegation": {"path": path, "hint": self.hint(key)}}
        entry = {"tree": tree, "subtrees": subtrees, "sig": {"key": alternative}}
        if self.chance(0.7):
            entry["sig"] = {"sig": self.signature(entry, key), "key": alternative}
        return entry

    # Forms that a reader takes for the same entry (section 4): any order of keys, unknown keys, explicit defaults.

    def loose_record(self, record, optional, defaults=()):
        fields = list(record.items())
        fields += [(key, None) for key in optional if key not in record and self.chance(0.4)]
        fields += [(key, value) for key, value in defaults if key not in record and self.chance(0.4)]
        if self.chance(0.3):
            fields.append(("unknown" + random_text(self.random), self.random.choice(([1, {"a": None}], "x", True, -5))))
        self.random.shuffle(fields)
        return dict(fields)

    def loose(self, entry):
        sig = entry["sig"]
        (kind, key), = sig["key"].items()
        key = {**key, "hint": self.loose_record(key["hint"], ("pubkey", "name"), [("is_global", False)])}
        if kind == "Delegation":
            key["path"] = [self.loose_record(step, ()) for step in key["path"]]
        return self.loose_record({
            "tree": self.loose_record(entry["tree"], ("root", "metadata"), [("h", 0)]),
            "subtrees": [self.loose_record(node, ("data", "h")) for node in entry["subtrees"]],
            "sig": self.loose_record({**sig, "key": {kind: self.loose_record(key, ())}}, ("sig",)),
        }, (), [("_v", 0)])

    def loose_cbor(self, value):
        """Keys in the order given, heads of any width that fits."""
        if isinstance(value, Link):
            return b"\xd8\x2a" + self.loose_cbor(b"\0" + value.binary) if value.binary else b"\xf6"
        if value is None or isinstance(value, bool):
            return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
        if isinstance(value, int):
            return self.loose_head(0, value) if value >= 0 else self.loose_head(1, -1 - value)
        if isinstance(value, bytes):
            return self.loose_head(2, len(value)) + value
        if isinstance(value, str):
            raw = value.encode("utf-8")
            return self.loose_head(3, len(raw)) + raw
        if isinstance(value, list):
            return self.loose_head(4, len(value)) + b"".join(self.loose_cbor(item) for item in value)
        pairs = (self.loose_cbor(key) + self.loose_cbor(item) for key, item in value.items())
        return self.loose_head(5, len(value)) + b"".join(pairs)

    def loose_head(self, major, number):
        forms = [(24, ">B", 2**8), (25, ">H", 2**16), (26, ">I", 2**32), (27, ">Q", 2**64)]
        possible = [form for form in forms if number < form[2]]
        if number < 24 and (self.chance(0.8) or not possible):
            return bytes([major << 5 | number])
        low, layout, _ = possible[0] if self.chance(0.8) else self.random.choice(possible)
        return bytes([major << 5 | low]) + struct.pack(layout, number)

    def loose_json(self, entry):
        """Keys in any order, spaces, escapes; bytes sometimes as text, which stands for its UTF-8."""
        value = json_value(entry)
        if self.chance(0.3) and "data" in (value["subtrees"] or [{}])[0]:
            try:
                value["subtrees"][0]["data"] = entry["subtrees"][0]["data"].decode("utf-8")
            except UnicodeDecodeError:
                pass
        value = self.loose(value)
        indent = self.random.choice((None, 1, "\t"))
        return json.dumps(value, ensure_ascii=self.chance(0.5), indent=indent).encode("utf-8")


def expected_answer(entry):
    data = encode(entry)
    return [link_of_bytes(data).text(), data, encode(without_signature(entry)), json_form(entry), signature_word(entry),
            rule_word(entry)]


def answer_in_bytes(answer):
    if isinstance(answer, str):
        return answer
    return [answer[0], *(unhex(part) for part in answer[1:4]), *answer[4:]]


def compare_theirs(witness, maker, tally):
    entries = [maker.entry() for _ in range(THEIRS)]
    wanted = [expected_answer(entry) for entry in entries]
    for name, forms in (
        ("theirs: canonical bytes", [["entry", want[1]] for want in wanted]),
        ("theirs: loose bytes, the same entry", [["entry", maker.loose_cbor(maker.loose(entry))] for entry in entries]),
        ("theirs: JSON form", [["json", want[3]] for want in wanted]),
        ("theirs: loose JSON, the same entry", [["json", maker.loose_json(entry)] for entry in entries]),
    ):
        for answer, want, form in zip(witness.ask(forms), wanted, forms):
            tally.same(name, answer_in_bytes(answer), want, shown(form[1]))
    for entry, want in zip(entries, wanted):
        tally.same("theirs: cbor2 and dag-cbor agree among themselves", encode_dag_cbor(entry), want[1])
        tally.seen("theirs: rule " + want[5])
        tally.seen("theirs: signature " + want[4])


# ---- what must be refused ----

NO_POINT = b"\x02" + bytes(31)
BARE = encode({"sig": {"key": {"Direct": {"hint": {}}}}, "subtrees": [], "tree": {"parents": []}})

def spoiled(maker, entry):
    """The entry as bytes with one thing wrong that no reader may overlook, and the name of the thing."""
    good = encode(entry)

    def with_key(key):
        return encode({**entry, "sig": {"key": key}})

    kinds = {
        "bytes after the end": lambda: good + b"\0",
        "cut off": lambda: good[:maker.random.randrange(len(good))],
        "version 1": lambda: encode({**entry, "_v": 1}),
        "no tree": lambda: encode({key: value for key, value in entry.items() if key != "tree"}),
        "no parents": lambda: encode({**entry, "tree": {"h": 1}}),
        "no signature block": lambda: encode({key: value for key, value in entry.items() if key != "sig"}),
        "negative height": lambda: encode({**entry, "tree": {**entry["tree"], "h": -1}}),
        "metadata as text": lambda: encode({**entry, "tree": {**entry["tree"], "metadata": "text"}}),
        "metadata as an array": lambda: encode({**entry, "tree": {**entry["tree"], "metadata": [1, 2]}}),
        "parents as text": lambda: encode({**entry, "tree": {**entry["tree"], "parents": ["bafkr4aa"]}}),
        "subtrees as a map": lambda: encode({**entry, "subtrees": {}}),
        "both alternatives": lambda: with_key({"Direct": {"hint": {}}, "Delegation": {"hint": {}, "path": []}}),
        "an unknown alternative": lambda: with_key({"Other": {"hint": {}}}),
        "a key that is no point": lambda: with_key({"Direct": {"hint": {"pubkey": pubkey_text(NO_POINT)}}}),
        "a field twice": lambda: b"\xa4" + good[1:] + b"\x63sig\xf6",
        "an array without length": lambda: BARE.replace(b"parents\x80", b"parents\x9f\xff"),
        "another tag": lambda: good.replace(b"\xd8\x2a", b"\xd8\x2b"),
        "a float": lambda: encode({**entry, "unknown": 1.5}),
    }
    name = maker.random.choice([*kinds])
    return name, good, kinds[name]()


def compare_refused(witness, maker, tally):
    cases = [spoiled(maker, maker.entry()) for _ in range(REFUSED)]
    cases = [case for case in cases if case[1] != case[2]]
    for (name, _, data), answer in zip(cases, witness.ask([["entry", data] for _, _, data in cases])):
        tally.same("refused: " + name, isinstance(answer, str), True, data.hex())


def main(path):
    number = seed()
    witness, maker = Witness(path), Maker(random.Random(number))
    tally = Tally("ours: with unregistered codecs, cbor2 only")
    for line in witness.entries(number, OURS):
        compare_ours(line, tally)
    compare_theirs(witness, maker, tally)
    compare_refused(witness, maker, tally)
    words = ("valid", "invalid", "unnamed", "unsigned", "malformed")
    return tally.close(["theirs: signature " + word for word in words] +
                       ["theirs: rule EID_OK", "theirs: rule EID_ERR_INVALID_ENTRY"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
