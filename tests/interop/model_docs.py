# SPDX-License-Identifier: Apache-2.0
"""Documents in plain Python, written from the specification (crdt.md sections 2 to 10): values, stored form, merging.

Null is None, Bool bool, Int int, Text str; the rest has the classes below. Values are never changed in place.
"""

import json
from fractions import Fraction


class Deleted:
    def __eq__(self, other):
        return isinstance(other, Deleted)


DELETED = Deleted()


class Position:
    def __init__(self, numerator, denominator, unique):
        self.numerator, self.denominator, self.unique = numerator, denominator, unique  # unique: the UUID's bytes

    def order(self):
        return (Fraction(self.numerator, self.denominator), self.unique)

    def unique_text(self):
        digits = self.unique.hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Doc:
    def __init__(self, children=None, atomic=False):
        self.children, self.atomic = children or {}, atomic


class List:
    def __init__(self, slots=()):
        self.slots = sorted(slots, key=lambda slot: slot[0].order())  # pairs of Position and value

    def live(self):
        """Numbers of the slots whose values are not deleted."""
        return [number for number, (_, value) in enumerate(self.slots) if value != DELETED]


# ---- merging (section 8) ----

def merge_docs(left, right):
    if right.atomic:
        return right
    children = dict(left.children)
    for key, value in right.children.items():
        children[key] = merge_values(children[key], value) if key in children else value
    return Doc(children, left.atomic)


def merge_values(left, right):
    if isinstance(left, Doc) and isinstance(right, Doc):
        return merge_docs(left, right)
    if isinstance(left, List) and isinstance(right, List):
        slots = {position.order(): (position, value) for position, value in left.slots}
        for position, value in right.slots:
            place = position.order()
            if place in slots:
                slots[place] = (slots[place][0], merge_values(slots[place][1], value))
            else:
                slots[place] = (position, value)
        return List(slots.values())
    return right


# ---- stored form (section 4) ----

def text_form(text):
    """Exactly the escapes of the specification: Python's, with nothing escaped but what must be."""
    return json.dumps(text, ensure_ascii=False)


def stored_value(value):
    if value is None:
        return '"Null"'
    if isinstance(value, Deleted):
        return '"Deleted"'
    if isinstance(value, bool):
        return '{"Bool":true}' if value else '{"Bool":false}'
    if isinstance(value, int):
        return f'{{"Int":{value}}}'
    if isinstance(value, str):
        return f'{{"Text":{text_form(value)}}}'
    if isinstance(value, Doc):
        return f'{{"Doc":{stored(value)}}}'
    slots = (f"[{stored_position(position)},{stored_value(item)}]" for position, item in value.slots)
    return f'{{"List":[{",".join(slots)}]}}'


def stored_position(position):
    return (f'{{"numerator":{position.numerator},"denominator":{position.denominator},'
            f'"unique_id":"{position.unique_text()}"}}')


def stored(doc):
    """The stored form with the keys in the order of their UTF-8 bytes."""
    keys = sorted(doc.children, key=lambda key: key.encode("utf-8"))
    children = ",".join(f"{text_form(key)}:{stored_value(doc.children[key])}" for key in keys)
    atomic = '"_a":true,' if doc.atomic else ""
    return f'{{{atomic}"children":{{{children}}}}}'


def read(text):
    return read_doc(json.loads(text))


def read_doc(record):
    return Doc({key: read_value(value) for key, value in record["children"].items()}, record.get("_a", False))


def read_value(record):
    if isinstance(record, str):
        return {"Null": None, "Deleted": DELETED}[record]
    (kind, content), = record.items()
    if kind == "Doc":
        return read_doc(content)
    if kind == "List":
        return List((read_position(position), read_value(value)) for position, value in content)
    return content


def read_position(record):
    unique = bytes.fromhex(record["unique_id"].replace("-", ""))
    return Position(record["numerator"], record["denominator"], unique)


# ---- paths (section 5; Lists are entered by setting, too, which docs/format.md says) ----

class PathError(Exception):
    pass


def components(path):
    if "." not in path:
        return [path]
    return [component for component in path.split(".") if component]


def with_value(doc, path, value):
    """A new Doc that holds the value at the path."""
    names = components(path)
    if not names:
        raise PathError("EID_ERR_INVALID_PATH")
    return put(doc, names, value)


def put(container, names, value):
    first, rest = names[0], names[1:]
    if isinstance(container, List):
        live = container.live()
        if not first.isdigit() or int(first) >= len(live):
            raise PathError("EID_ERR_INDEX_OUT_OF_BOUNDS")
        place = live[int(first)]
        slots = list(container.slots)
        slots[place] = (slots[place][0], below(slots[place][1], rest, value))
        return List(slots)
    return Doc({**container.children, first: below(container.children.get(first), rest, value)}, container.atomic)


def below(child, names, value):
    if not names:
        return value
    return put(child if isinstance(child, (Doc, List)) else Doc(), names, value)


# ---- places between neighbours ----

def simplest_between(left, right):
    """The fraction of the open interval with the smallest denominator, then the numerator nearest to zero. At an open
    end (None) the next whole number."""
    if left is None and right is None:
        return Fraction(0)
    if right is None:
        return Fraction(left.numerator // left.denominator + 1)
    if left is None:
        return Fraction(-(-right.numerator // right.denominator) - 1)
    if left < 0 < right:
        return Fraction(0)
    if left < 0:
        return -simplest_between(-right, -left)
    whole = left.numerator // left.denominator
    if whole + 1 < right:
        return Fraction(whole + 1)
    # No whole number lies inside: the interval is turned over, less its whole part.
    low, high = left - whole, right - whole
    return whole + 1 / simplest_between(1 / high, 1 / low if low else None)


def smallest_denominator(left, right, most):
    """The same by trying the denominators in turn; None when none up to `most` does."""
    for denominator in range(1, most + 1):
        first = (left * denominator).__floor__() + 1
        last = (right * denominator).__ceil__() - 1
        if first <= last:
            return Fraction(0 if first <= 0 <= last else first if first > 0 else last, denominator)
    return None
