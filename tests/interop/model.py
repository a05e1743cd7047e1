# SPDX-License-Identifier: Apache-2.0
"""Entries in plain Python, written from the specification (entry.md), and their forms in the encoders of others.

An entry is a dict of the fields in the order the JSON form has, with Link for an identifier and bytes for payloads.
"""

import base64
import functools
import json

import quiet_types  # noqa: F401, before the libraries it concerns
import blake3
import cbor2
import dag_cbor
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from multiformats import CID


def varint(data):
    """The number at the front, and the rest."""
    number = 0
    for place, byte in enumerate(data):
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number, data[place + 1:]
    raise ValueError("cut off")


class Link:
    """An identifier by its binary form; b"" is the empty one."""

    def __init__(self, binary):
        self.binary = binary

    def __eq__(self, other):
        return isinstance(other, Link) and self.binary == other.binary

    def __hash__(self):
        return hash(self.binary)

    def __repr__(self):
        return f"Link({self.binary.hex()})"

    @property
    def is_v0(self):
        return len(self.binary) == 34 and self.binary[:2] == b"\x12\x20"

    def order(self):
        """Section 3: empty first, then version, codec, hash, length as numbers, then the digest."""
        if not self.binary:
            return ()
        if self.is_v0:
            return (0, 0x70, 0x12, 32, self.binary[2:])
        numbers, rest = [], self.binary
        for _ in range(4):
            number, rest = varint(rest)
            numbers.append(number)
        return (*numbers, rest)

    def cid(self):
        """For multiformats, which knows only registered codecs and hashes (KeyError)."""
        return cid_of(self.binary)

    def text(self):
        if not self.binary:
            return ""
        if self.is_v0:
            return self.cid().encode()
        return "b" + base64.b32encode(self.binary).decode("ascii").lower().rstrip("=")


@functools.lru_cache(maxsize=4096)
def cid_of(binary):
    return CID.decode(binary)


def link_of_bytes(data, codec=0x71):
    return Link(bytes([1, codec, 0x1E, 32]) + blake3.blake3(data).digest())


def converted(value, link):
    if isinstance(value, Link):
        return link(value) if value.binary else None
    if isinstance(value, dict):
        return {key: converted(item, link) for key, item in value.items()}
    if isinstance(value, list):
        return [converted(item, link) for item in value]
    return value


def encode_dag_cbor(value):
    """By dag-cbor; None where it does not know a codec or a hash."""
    try:
        return dag_cbor.encode(converted(value, Link.cid))
    except KeyError:
        return None


def encode(value):
    """By cbor2, which takes any identifier. Its canonical form is that of DAG-CBOR but for floats."""
    return cbor2.dumps(converted(value, lambda link: cbor2.CBORTag(42, b"\0" + link.binary)), canonical=True)


def json_value(value):
    if isinstance(value, Link):
        return value.text()
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_value(item) for item in value]
    return value


def json_form(entry):
    return json.dumps(json_value(entry), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def without_signature(entry):
    return {**entry, "sig": {key: value for key, value in entry["sig"].items() if key != "sig"}}


def pubkey_text(raw):
    return "ed25519:" + base64.b64encode(raw).decode("ascii")


# ---- what the builder makes of a plan (section 9) ----

def links(texts):
    return [Link(bytes.fromhex(text)) for text in texts]


def settled(texts):
    return sorted(set(links(texts)), key=Link.order)


def planned_subtree(store):
    node = {"name": bytes.fromhex(store["name"]).decode("utf-8"), "parents": settled(store["parents"])}
    if store["data"] is not None:
        node["data"] = bytes.fromhex(store["data"])
    if store["height"] is not None:
        node["h"] = int(store["height"])
    return node


def planned_key(plan, public):
    hint = {}
    if plan["kind"] == "default" or plan["has_pubkey"]:
        hint["pubkey"] = pubkey_text(public)
    if plan["kind"] != "default":
        if plan["key_name"] is not None:
            hint["name"] = bytes.fromhex(plan["key_name"]).decode("utf-8")
        if plan["global"]:
            hint["is_global"] = True
    if plan["kind"] != "delegation":
        return {"Direct": {"hint": hint}}
    path = [{"tree": Link(bytes.fromhex(step["tree"])), "tips": links(step["tips"])} for step in plan["path"]]
    return {"Delegation": {"path": path, "hint": hint}}


def planned_entry(plan):
    """The entry of a plan, signed by means of our own."""
    tree = {}
    if plan["root"] is not None:
        tree["root"] = Link(bytes.fromhex(plan["root"]))
    tree["parents"] = settled(plan["parents"])
    if plan["metadata"] is not None:
        tree["metadata"] = bytes.fromhex(plan["metadata"])
    if int(plan["height"]) != 0:
        tree["h"] = int(plan["height"])
    # Of two stores of one name the later replaces the earlier.
    stores = {store["name"]: planned_subtree(store) for store in plan["stores"]}
    subtrees = sorted(stores.values(), key=lambda node: node["name"].encode("utf-8"))
    entry = {"tree": tree, "subtrees": subtrees, "sig": {"key": {"Direct": {"hint": {}}}}}
    if plan["seed"] is None:
        return entry
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(plan["seed"]))
    entry["sig"]["key"] = planned_key(plan, key.public_key().public_bytes_raw())
    return signed(entry, key)


def signed(entry, key):
    signature = base64.b64encode(key.sign(encode(without_signature(entry)))).decode("ascii")
    return {**entry, "sig": {"sig": signature, "key": entry["sig"]["key"]}}


# ---- what a reader says about an entry (sections 6 and 10) ----

def signature_word(entry):
    (kind, key), = entry["sig"]["key"].items()
    hint, signature = key["hint"], entry["sig"].get("sig")
    is_set = "pubkey" in hint or "name" in hint
    if kind == "Delegation" and signature is None:
        return "malformed"
    if kind == "Direct" and is_set != (signature is not None):
        return "malformed"
    if signature is None:
        return "unsigned"
    if "pubkey" not in hint:
        return "unnamed"
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(hint["pubkey"].removeprefix("ed25519:")))
    try:
        public.verify(base64.b64decode(signature, validate=True), encode(without_signature(entry)))
    except (InvalidSignature, ValueError):
        return "invalid"
    return "valid"


def rule_word(entry):
    empty = Link(b"")
    tree, subtrees = entry["tree"], entry["subtrees"]
    has_marker = any(node["name"] == "_root" for node in subtrees)
    if has_marker and tree["parents"]:
        return "EID_ERR_INVALID_ENTRY"
    if tree.get("root") == empty:
        return "EID_ERR_INVALID_ID"
    for node in subtrees:
        if node["name"] == "" or (node["name"] != "_root" and empty in node["parents"]):
            return "EID_ERR_INVALID_ENTRY"
    is_root = has_marker and not tree["parents"] and "root" not in tree
    if (not is_root and not tree["parents"]) or empty in tree["parents"]:
        return "EID_ERR_INVALID_ENTRY"
    return "EID_OK"
