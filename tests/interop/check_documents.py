# SPDX-License-Identifier: Apache-2.0
"""Documents against a few lines of Python written from the specification, with the json and fractions modules.

    check_documents.py WITNESS
"""

import json
import random
import sys
from fractions import Fraction

import model_docs
from model_docs import DELETED, Doc, List, PathError, Position
from witness import Tally, Witness, random_text, seed, unhex

DOCS = 2500
FOLDS = 5000
EDITS = 2000
LISTS = 600
PLACES = 6000

EDGES = [0, 1, -1, 2**31, -2**31, 2**53 + 1, 2**63 - 1, -2**63]


class Maker:
    def __init__(self, source):
        self.random = source
        self.uniques = [source.randbytes(16) for _ in range(6)]

    def chance(self, share):
        return self.random.random() < share

    def key(self):
        return self.random.choice("abcd") if self.chance(0.9) else random_text(self.random)

    def integer(self):
        return self.random.choice(EDGES) if self.chance(0.3) else self.random.getrandbits(63) - 2**62

    def position(self):
        """From few slots, so that two documents meet in some; now and then a fraction that is not reduced, and the
        largest numbers."""
        if self.chance(0.1):
            denominator = self.random.choice((1, 2, 2**63, 2**64 - 1))
            return Position(self.integer(), denominator, self.random.choice(self.uniques))
        numerator, denominator = self.random.choice(((0, 1), (1, 2), (1, 1), (-3, 2), (2, 4), (-6, 4)))
        return Position(numerator, denominator, self.random.choice(self.uniques))

    def value(self, depth):
        kind = self.random.randrange(10)
        if depth == 0 or kind < 5:
            return self.random.choice((None, DELETED, self.chance(0.5), self.integer(), random_text(self.random)))
        if kind < 8:
            return self.doc(depth - 1)
        slots = {position.order(): (position, self.value(depth - 1))
                 for position in (self.position() for _ in range(self.random.randrange(5)))}
        return List(slots.values())

    def doc(self, depth=3):
        children = {self.key(): self.value(depth) for _ in range(self.random.randrange(5))}
        return Doc(children, atomic=self.chance(0.15))

    # Texts that mean the same: spaces, escapes, fields in any order, unknown fields, defaults, repeated keys.

    def space(self):
        return self.random.choice(("", "", "", " ", "\n", "\t ", "\r\n"))

    def loose_object(self, fields):
        self.random.shuffle(fields)
        return "{" + self.space() + ",".join(
            f"{self.space()}{self.loose_text(key)}{self.space()}:{self.space()}{text}{self.space()}"
            for key, text in fields) + "}"

    def loose_text(self, text):
        return json.dumps(text, ensure_ascii=self.chance(0.5))

    def unknown(self):
        return [("x" + random_text(self.random), self.random.choice(('[1.5e3,{"_v":9}]', "null", '"y"')))] \
            if self.chance(0.2) else []

    def loose_doc(self, doc):
        children = [(self.loose_text(key), self.loose_value(value)) for key, value in doc.children.items()]
        if children and self.chance(0.2):
            # Of a repeated key the last value counts.
            children.insert(self.random.randrange(len(children)), (children[-1][0], self.loose_value(self.value(1))))
        text = ",".join(f"{self.space()}{key}{self.space()}:{value}" for key, value in children)
        fields = [("children", "{" + text + self.space() + "}")]
        if doc.atomic or self.chance(0.2):
            fields.append(("_a", "true" if doc.atomic else "false"))
        if self.chance(0.2):
            fields.append(("_v", "0"))
        return self.loose_object(fields + self.unknown())

    def loose_value(self, value):
        if value is None or value == DELETED:
            word = "Null" if value is None else "Deleted"
            return self.loose_object([(word, "null")]) if self.chance(0.3) else f'{self.space()}"{word}"'
        if isinstance(value, Doc):
            return self.loose_object([("Doc", self.loose_doc(value))])
        if isinstance(value, str):
            return self.loose_object([("Text", self.loose_text(value))])
        if not isinstance(value, List):
            return self.loose_object([("Bool" if isinstance(value, bool) else "Int", json.dumps(value))])
        slots = [f"[{self.loose_position(position)},{self.loose_value(item)}]" for position, item in value.slots]
        self.random.shuffle(slots)
        return self.loose_object([("List", "[" + ("," + self.space()).join(slots) + "]")])

    def loose_position(self, position):
        return self.loose_object([("numerator", str(position.numerator)), ("denominator", str(position.denominator)),
                                  ("unique_id", self.loose_text(position.unique_text()))] + self.unknown())


def document_of(answer):
    return answer if isinstance(answer, str) else unhex(answer[0]).decode("utf-8")


# ---- reading and writing ----

def compare_texts(witness, maker, tally):
    docs = [maker.doc() for _ in range(DOCS)]
    texts = [maker.loose_doc(doc) for doc in docs]
    for doc, text, answer in zip(docs, texts, witness.ask([["doc", text.encode("utf-8")] for text in texts])):
        want = model_docs.stored(doc)
        if tally.same("documents: any text, the one stored form", document_of(answer), want, text):
            tally.same("documents: read by json", model_docs.stored(model_docs.read(want)), want)


def chain(levels, leaf='{"Int":1}'):
    return '{"children":{"k":{"Doc":' * levels + f'{{"children":{{"k":{leaf}}}}}' + "}}}" * levels


# (text, read?): the reader rules of section 4 that go beyond JSON itself, and our own rule about the denominator 0.
UNIQUE = '"unique_id":"00112233-4455-6677-8899-aabbccddeeff"'
TEXT_CASES = [
    ('{"children":{}}', True),
    ('{"_v":0,"_a":true,"children":{}}', True),
    ('{"_v":1,"children":{}}', False),
    ('{"_a":true}', False),
    ('{"children":{},"children":{}}', False),
    ('{"_a":true,"_a":true,"children":{}}', False),
    ('{"children":{}} x', False),
    ('{"children":{}}\n ', True),
    ('{"children":{"a":null}}', False),
    ('{"children":{"a":{"Int":1.0}}}', False),
    ('{"children":{"a":{"Int":1e3}}}', False),
    ('{"children":{"a":{"Int":9223372036854775808}}}', False),
    ('{"children":{"a":{"Int":-9223372036854775808}}}', True),
    ('{"children":{"a":{"Int":1,"Text":"x"}}}', False),
    ('{"children":{"a":{}}}', False),
    ('{"children":{"a":{"Float":1}}}', False),
    ('{"children":{"a":"Missing"}}', False),
    ('{"children":{"a":{"Deleted":null}}}', True),
    ('{"children":{"a":{"List":[[{"numerator":0,"denominator":1,%s},"Null"]]}}}' % UNIQUE, True),
    ('{"children":{"a":{"List":[[{"numerator":0,"denominator":0,%s},"Null"]]}}}' % UNIQUE, False),
    ('{"children":{"a":{"List":[[{"numerator":0,"denominator":-1,%s},"Null"]]}}}' % UNIQUE, False),
    ('{"children":{"a":{"List":[[{"numerator":0,%s},"Null"]]}}}' % UNIQUE, False),
    ('{"children":{"a":{"List":[[{"numerator":0,"denominator":1,"unique_id":"x"},"Null"]]}}}', False),
    (chain(41), True),
    (chain(42), False),
]


def compare_cases(witness, tally):
    answers = witness.ask([["doc", text.encode("utf-8")] for text, _ in TEXT_CASES])
    for (text, readable), answer in zip(TEXT_CASES, answers):
        tally.same("documents: read or refused as specified", not isinstance(answer, str), readable, text)


# ---- merging ----

def compare_folds(witness, maker, tally):
    folds = [[maker.doc() for _ in range(maker.random.randrange(2, 6))] for _ in range(FOLDS)]
    questions = [["fold", *(model_docs.stored(doc).encode("utf-8") for doc in docs)] for docs in folds]
    for docs, answer in zip(folds, witness.ask(questions)):
        state = docs[0]
        for change in docs[1:]:
            state = model_docs.merge_docs(state, change)
        tally.same("merges: left folds", document_of(answer), model_docs.stored(state),
                   " + ".join(map(model_docs.stored, docs)))


# ---- paths ----

def random_path(maker):
    if maker.chance(0.1):
        return maker.random.choice(("", ".", "..", ".a", "b.", "a..b"))
    return ".".join(maker.random.choice("abcd012") for _ in range(maker.random.randrange(1, 5)))


def compare_edits(witness, maker, tally):
    cases, questions = [], []
    for _ in range(EDITS):
        doc = maker.doc()
        question, statuses = ["edit", model_docs.stored(doc).encode("utf-8")], []
        for _ in range(maker.random.randrange(1, 6)):
            path, value = random_path(maker), DELETED if maker.chance(0.3) else maker.value(1)
            path_hex = path.encode("utf-8").hex() or "-"
            value_hex = model_docs.stored_value(value).encode("utf-8").hex()
            question.append(f"d:{path_hex}" if value == DELETED else f"s:{path_hex}:{value_hex}")
            try:
                doc = model_docs.with_value(doc, path, value)
                statuses.append("EID_OK")
            except PathError as error:
                statuses.append(str(error))
        cases.append((doc, statuses))
        questions.append(question)
    for (doc, statuses), question, answer in zip(cases, questions, witness.ask(questions)):
        tally.same("paths: setting and deleting", document_of(answer), model_docs.stored(doc), str(question))
        tally.same("paths: what is refused", answer[1:], statuses, str(question))
        for status in statuses:
            tally.seen("paths: " + status)


# ---- lists ----

def random_steps(maker, count):
    """(letter, index, value) as the witness knows them."""
    steps, size = [], 0
    here = maker.chance(0.5)  # much at one place, or anywhere
    for number in range(count):
        letter = maker.random.choice("ppiiiiiiisr")
        index = min(size, size // 2 + number % 2) if here else maker.random.randrange(size + 2)
        steps.append((letter, index, number))
        size += {"p": 1, "i": index <= size, "s": 0, "r": -(index < size)}[letter]
    return steps


def narrow_steps(count):
    """Always between the two elements made last: soon 64 bits can not tell more fractions apart."""
    return [("p", 0, 0), ("p", 0, 1)] + [("i", 1 + number // 2, number) for number in range(count - 2)]


def question_word(step):
    letter, index, number = step
    value = model_docs.stored_value(number).encode("utf-8").hex()
    return {"p": f"p:{value}", "i": f"i{index}:{value}", "s": f"s{index}:{value}", "r": f"r{index}"}[letter]


def apply_step(live, step):
    """The same on a plain list; the status that has to come of it."""
    letter, index, number = step
    if index > len(live) - (letter in "sr") and letter != "p":
        return "EID_ERR_INDEX_OUT_OF_BOUNDS"
    if letter == "p":
        live.append(number)
    elif letter == "i":
        live.insert(index, number)
    elif letter == "s":
        live[index] = number
    else:
        del live[index]
    return "EID_OK"


def check_positions(positions, tally, about):
    orders = [position.order() for position in positions]
    tally.same("lists: positions ascend by fractions", all(a < b for a, b in zip(orders, orders[1:])), True, about)
    exact = all(-2**63 <= p.numerator < 2**63 and 0 < p.denominator < 2**64 for p in positions)
    reduced = all(Fraction(p.numerator, p.denominator).denominator == p.denominator for p in positions)
    tally.same("lists: positions fit 64 bits and are reduced", exact and reduced, True, about)


# So many elements find a place even between the two made last, each time; of 500 some find none.
SURE = 130


def compare_lists(witness, maker, tally):
    cases = [random_steps(maker, maker.random.randrange(1, 40)) for _ in range(LISTS)]
    cases += [narrow_steps(SURE), narrow_steps(500)]
    questions = [["list", *map(question_word, steps)] for steps in cases]
    for steps, answer in zip(cases, witness.ask(questions)):
        about = str(steps)
        live = []
        for number, (step, have) in enumerate(zip(steps, answer[1:])):
            if have == "EID_ERR_LIMIT" and number >= SURE:
                # No place is left there; nothing has changed.
                tally.seen("lists: no place left")
            else:
                tally.same("lists: what a step does", have, apply_step(live, step), about)
        made = model_docs.read_value(json.loads(document_of(answer)))
        values = [value for _, value in made.slots]
        tally.same("lists: elements", [value for value in values if value != DELETED], live, about)
        removed = sum(1 for step, have in zip(steps, answer[1:]) if step[0] == "r" and have == "EID_OK")
        tally.same("lists: tombstones", values.count(DELETED), removed, about)
        check_positions([position for position, _ in made.slots], tally, about)


# ---- places ----

def random_fraction(maker):
    kind = maker.random.randrange(4)
    if kind == 0:
        return Fraction(maker.random.randrange(-30, 31), maker.random.randrange(1, 30))
    if kind == 1:
        return Fraction(maker.integer(), maker.random.choice((1, 3, 2**32, 2**63, 2**64 - 1)))
    return Fraction(maker.random.getrandbits(maker.random.randrange(1, 63)) * maker.random.choice((1, -1)),
                    maker.random.getrandbits(maker.random.randrange(1, 64)) or 1)


def neighbour(maker, fraction):
    """One that lies as near as its denominator allows."""
    for _ in range(20):
        denominator = maker.random.getrandbits(maker.random.randrange(1, 65)) or 1
        other = Fraction((fraction * denominator).__floor__() + maker.random.choice((0, 1)), denominator)
        if other != fraction and -2**63 <= other.numerator < 2**63:
            return other
    return Fraction(0) if fraction else Fraction(1)


def compare_places(witness, maker, tally):
    pairs = []
    while len(pairs) < PLACES:
        a = random_fraction(maker)
        b = random_fraction(maker) if maker.chance(0.4) else neighbour(maker, a)
        if a != b:
            pairs.append((min(a, b), max(a, b)))
    ends = [(None, None)] + [(a, None) for a, _ in pairs[:500]] + [(None, b) for _, b in pairs[:500]]
    questions = [["between", *(shown(bound) for bound in pair)] for pair in pairs + ends]
    for (left, right), answer in zip(pairs + ends, witness.ask(questions)):
        want = model_docs.simplest_between(left, right)
        fits = -2**63 <= want.numerator < 2**63 and want.denominator < 2**64
        about = f"between {shown(left)} and {shown(right)}"
        tally.same("places: the simplest fraction between" if fits else "places: none of 64 bits", answer,
                   [shown(want)] if fits else "EID_ERR_LIMIT", about)
        if left is not None and right is not None and want.denominator <= 300:
            tally.same("places: the smallest denominator, by trying", want,
                       model_docs.smallest_denominator(left, right, 300), about)

    places = [maker.position() for _ in range(400)]
    questions = [(maker.random.choice(places), maker.random.choice(places)) for _ in range(PLACES)]
    asked = [["compare", *(f"{p.numerator}/{p.denominator}/{p.unique_text()}" for p in pair)] for pair in questions]
    for (a, b), question, answer in zip(questions, asked, witness.ask(asked)):
        order = (a.order() > b.order()) - (a.order() < b.order())
        tally.same("places: order", answer, [str(order)], str(question))


def shown(bound):
    return "*" if bound is None else f"{bound.numerator}/{bound.denominator}"


def main(path):
    number = seed()
    witness, maker, tally = Witness(path), Maker(random.Random(number)), Tally()
    compare_texts(witness, maker, tally)
    compare_cases(witness, tally)
    compare_folds(witness, maker, tally)
    compare_edits(witness, maker, tally)
    compare_lists(witness, maker, tally)
    compare_places(witness, maker, tally)
    return tally.close(["paths: EID_ERR_INVALID_PATH", "paths: EID_ERR_INDEX_OUT_OF_BOUNDS", "lists: no place left",
                        "places: none of 64 bits"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
