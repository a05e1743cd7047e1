# SPDX-License-Identifier: Apache-2.0
"""An independent reader of CAR files, from the public descriptions of CARv1, CID, DAG-CBOR and BLAKE3.

    car_reader.py FILE      prints one line a block: CID, height, number of parents, names of the stores

Stops with an error when a hash does not fit, an encoding is not the shortest, or a parent does not stand before its child.
"""

import base64
import struct
import sys

# --- BLAKE3, plain hashing mode ---

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def rotate(word, bits):
    return (word >> bits | word << (32 - bits)) & 0xFFFFFFFF


def compress(chain, block, counter, length, flags):
    v = list(chain) + list(IV[:4]) + [counter & 0xFFFFFFFF, counter >> 32, length, flags]
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(COLUMNS + DIAGONALS):
            for word, far, near in ((m[2 * i], 16, 12), (m[2 * i + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
                v[d] = rotate(v[d] ^ v[a], far)
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                v[b] = rotate(v[b] ^ v[c], near)
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def node(left, right, flags):
    return compress(IV, struct.pack("<16I", *left, *right), 0, 64, PARENT | flags)


def chunk(data, counter, flags):
    chain = IV
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    for i, block in enumerate(blocks):
        marks = (CHUNK_START if i == 0 else 0) | (CHUNK_END | flags if i == len(blocks) - 1 else 0)
        chain = compress(chain, block, counter, len(block), marks)
    return chain


def tree(chunks, counter, flags):
    if len(chunks) == 1:
        return chunk(chunks[0], counter, flags)
    left = 1 << (len(chunks) - 1).bit_length() - 1  # the largest power of two below
    return node(tree(chunks[:left], counter, 0), tree(chunks[left:], counter + left, 0), flags)


def blake3(data):
    chunks = [data[i:i + 1024] for i in range(0, len(data), 1024)] or [b""]
    return struct.pack("<8I", *tree(chunks, 0, ROOT))


# --- Varints, CIDs, DAG-CBOR ---

class Wrong(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise Wrong("ends too early")
        self.at += size
        return self.data[self.at - size:self.at]

    def done(self):
        return self.at == len(self.data)

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if byte == 0 and shift > 7:
                    raise Wrong("varint is not the shortest")
                return value


def cid_text(binary):
    reader = Reader(binary)
    if (reader.varint(), reader.varint(), reader.varint(), reader.varint()) != (1, 0x71, 0x1E, 32):
        raise Wrong("not CIDv1 dag-cbor blake3-256")
    reader.take(32)
    if not reader.done():
        raise Wrong("bytes behind a CID")
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")


class Link(str):
    pass


def cbor(reader):
    head = reader.take(1)[0]
    kind, small = head >> 5, head & 31
    if kind == 7:
        return {20: False, 21: True, 22: None}[small]
    argument = small
    if small >= 24:
        size = {24: 1, 25: 2, 26: 4, 27: 8}[small]
        argument = int.from_bytes(reader.take(size), "big")
        if argument < (24, 1 << 8, 1 << 16, 1 << 32)[small - 24]:
            raise Wrong("head is not the shortest")
    if kind == 0:
        return argument
    if kind == 1:
        return -1 - argument
    if kind == 2:
        return reader.take(argument)
    if kind == 3:
        return reader.take(argument).decode()
    if kind == 4:
        return [cbor(reader) for _ in range(argument)]
    if kind == 5:
        pairs = [(cbor(reader), cbor(reader)) for _ in range(argument)]
        keys = [key.encode() for key, _ in pairs]
        if keys != sorted(set(keys), key=lambda key: (len(key), key)):
            raise Wrong("map keys out of order")
        return dict(pairs)
    binary = cbor(reader)
    if argument != 42 or binary[:1] != b"\0":
        raise Wrong("a tag that is no link")
    return Link(cid_text(binary[1:]))


def whole(data):
    reader = Reader(data)
    value = cbor(reader)
    if not reader.done():
        raise Wrong("bytes behind a value")
    return value


def links(value):
    if isinstance(value, Link):
        return [value]
    if isinstance(value, list):
        return [link for item in value for link in links(item)]
    return []


# --- The file ---

def main(path):
    with open(path, "rb") as file:
        reader = Reader(file.read())
    header = whole(reader.take(reader.varint()))
    if set(header) != {"roots", "version"} or header["version"] != 1 or len(header["roots"]) != 1:
        raise Wrong(f"header {header}")
    print("root", header["roots"][0])
    seen = set()
    while not reader.done():
        block = Reader(reader.take(reader.varint()))
        name, body = cid_text(block.take(36)), block.data[36:]
        if blake3(body) != block.data[4:36]:
            raise Wrong(f"{name} is not the hash of its block")
        entry = whole(body)
        parents = links(entry["tree"]["parents"])
        if not seen and name != header["roots"][0]:
            raise Wrong("the root entry is not the first")
        if name in seen or not all(parent in seen for parent in parents):
            raise Wrong(f"{name} stands in front of a parent, or twice")
        seen.add(name)
        stores = [store["name"] for store in entry["subtrees"]]
        print(name, entry["tree"].get("h", 0), len(parents), ",".join(stores))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Wrong as wrong:
        print(f"wrong: {wrong}")
        sys.exit(1)
