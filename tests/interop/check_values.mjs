// SPDX-License-Identifier: Apache-2.0
// DAG-CBOR values, identifiers, multibase texts, hashes and signatures against the libraries of npm.
//
//     node check_values.mjs WITNESS
//
// Whole and damaged inputs: both sides must read the same or refuse. Where they differ on purpose the case has a name
// in one of the tables below, and each name must occur.
import * as dagCbor from '@ipld/dag-cbor'
import { bases } from 'multiformats/basics'
import { CID } from 'multiformats/cid'
import { Tally, Witness, base64, blake3, compareIds, ed25519, hex, idOf, seeded, unhex, utf8 } from './witness.mjs'

const VALUES = 3000
const DAMAGED = 6000
const IDS = 3000
const TEXTS = 150 // for each base
const HASHES = 300
const SIGNATURES = 200

const random = seeded()
const witness = new Witness(process.argv[2])
const tally = new Tally()

// ---- values ----

function randomBinary() {
  const kind = random.below(6)
  if (kind === 0) return Uint8Array.of(0x12, 0x20, ...random.bytes(32))
  if (kind < 4) return Uint8Array.of(1, random.choice([0x55, 0x71]), 0x1e, 0x20, ...random.bytes(32))
  const size = random.below(65)
  // Codecs and hashes of one, two and three bytes, registered or not.
  const last = () => 1 + random.below(127)
  const code = () => random.choice([[random.below(128)], [0x80 + random.below(128), last()], [0xff, 0x80, last()]])
  return Uint8Array.of(1, ...code(), ...code(), size, ...random.bytes(size))
}

function randomLeaf(floats) {
  const kind = random.below(floats ? 9 : 8)
  if (kind < 2) return random.u64()
  if (kind === 2) return -1n - BigInt(random.u64())
  if (kind === 3) return random.someBytes()
  if (kind === 4) return random.text()
  if (kind === 5) return CID.decode(randomBinary())
  if (kind < 8) return random.choice([null, true, false])
  return random.next() / 1024 + 0.00001
}

function randomValue(depth, floats) {
  const kind = random.below(10)
  if (depth === 0 || kind < 4) return randomLeaf(floats)
  if (kind < 7) return Array.from({ length: random.below(5) }, () => randomValue(depth - 1, floats))
  const pair = () => [random.text(5), randomValue(depth - 1, floats)]
  return Object.fromEntries(Array.from({ length: random.below(5) }, pair))
}

const isContainer = value => value !== null && typeof value === 'object' && CID.asCID(value) === null &&
  !(value instanceof Uint8Array)
const inner = value => isContainer(value) ? Object.values(value) : []
const any = (value, test) => test(value) || inner(value).some(item => any(item, test))
const depth = value => isContainer(value) ? 1 + Math.max(0, ...inner(value).map(depth)) : 0

// What dag-cbor reads and we refuse; the test gets the bytes and what they were read as.
const REFUSED_VALUES = {
  'a float: entries hold none': (_, value) => any(value, item => typeof item === 'number' && !Number.isInteger(item)),
  'not the canonical form: keys out of order, short floats, undefined, text that is not UTF-8': (bytes, value) =>
    hex(dagCbor.encode(value)) !== hex(bytes),
  'a digest of more than 64 bytes: the bound of an identifier': (_, value) =>
    any(value, item => (CID.asCID(item)?.multihash.digest.length ?? 0) > 64),
  'more than 256 containers in each other: the bound of the reader': (_, value) => depth(value) > 256
}
const NAMED_VALUES = {
  'a float: entries hold none': dagCbor.encode({ a: [1.5] }),
  'not the canonical form: keys out of order, short floats, undefined, text that is not UTF-8': unhex('a2616201616102'),
  'a digest of more than 64 bytes: the bound of an identifier': unhex('d82a584600015500' + '41' + '00'.repeat(65)),
  'more than 256 containers in each other: the bound of the reader': unhex('81'.repeat(257) + '80')
}

function attempt(read) {
  try {
    return { value: read() }
  } catch (error) {
    return { error }
  }
}

// Both read the same, both refuse, or the difference has a name.
function agree(name, about, answer, want, error, reasons) {
  if (error === undefined && typeof answer !== 'string') {
    tally.same(name + ': both read', answer, want, about)
  } else if (error !== undefined && typeof answer === 'string') {
    tally.seen(name + ': both refuse')
  } else if (error !== undefined || reasons.length === 0) {
    tally.fail(name, `${about}: we: ${answer}, they: ${error ?? want}`)
  }
  if (error === undefined && typeof answer === 'string') {
    for (const reason of reasons) tally.seen(`${name}: only they read ${reason}`)
  }
}

const namesOf = (table, ...subject) => Object.keys(table).filter(name => table[name](...subject))

function compareValues() {
  const forms = Array.from({ length: VALUES }, () => dagCbor.encode(randomValue(4, false)))
  for (const mode of ['strict', 'tolerant']) {
    witness.ask(forms.map(form => ['value', mode, form])).forEach((answer, i) => {
      tally.same(`values: read and written by us, ${mode}`, answer, [hex(forms[i])], hex(forms[i]))
    })
  }
  const inputs = Array.from({ length: DAMAGED }, (_, i) => random.damaged(forms[i % VALUES]))
  for (let i = 0; i < 300; i++) inputs.push(dagCbor.encode(randomValue(3, true)))
  inputs.push(...Object.values(NAMED_VALUES))
  witness.ask(inputs.map(bytes => ['value', 'strict', bytes])).forEach((answer, i) => {
    const bytes = inputs[i]
    const { value, error } = attempt(() => dagCbor.decode(bytes))
    const reasons = error === undefined ? namesOf(REFUSED_VALUES, bytes, value) : []
    agree('damaged values', hex(bytes), answer, [hex(bytes)], error, reasons)
  })
}

// ---- identifiers ----

// base256emoji is no base of identifiers here, and "identity" stands for text, not bytes, in JavaScript.
const BASES = Object.values(bases).filter(base => !['base256emoji', 'identity'].includes(base.name))
const BASE_BY_PREFIX = new Map(BASES.map(base => [base.prefix, base]))

function compareIdentifiers() {
  const ours = witness.ids(random.next(), IDS)
  for (const [binary, text] of ours) {
    const id = CID.parse(text)
    tally.same('our IDs: read by multiformats', hex(id.bytes), binary, text)
    tally.same('our IDs: written by multiformats', id.toString(), text)
  }
  const theirs = Array.from({ length: IDS }, () => CID.decode(randomBinary()))
  const texts = theirs.map(id => id.version === 0 ? id.toString() : id.toString(random.choice(BASES).encoder))
  const wanted = theirs.map(id => [hex(id.bytes), id.toString()])
  witness.ask(texts.map(text => ['id', utf8(text)])).forEach((answer, i) => {
    tally.same('their IDs: text of any base', answer, wanted[i], texts[i])
  })
  witness.ask(theirs.map(id => ['binary', id.bytes])).forEach((answer, i) => {
    tally.same('their IDs: binary', answer, wanted[i], wanted[i][0])
  })
  const pairs = theirs.map((id, i) => [id, random.chance(0.5) ? CID.decode(unhex(ours[i][0])) : random.choice(theirs)])
  witness.ask(pairs.map(([a, b]) => ['order', a.bytes, b.bytes])).forEach((answer, i) => {
    const [a, b] = pairs[i]
    const text = a.toString() < b.toString() ? -1 : Number(a.toString() > b.toString())
    tally.same('orders of IDs, binary and text', answer, [String(compareIds(a, b)), String(text)], `${a} ${b}`)
  })
}

// ---- multibase ----

// Bases 10, 36 and 58 are read up to this many bytes.
const RADIX_MAX = 128
const PADDING = '"=" missing, too many or in the middle'
const REFUSED_TEXTS = {
  'more than 128 bytes as one number': (text, bytes) => '9kKzZ'.includes(text[0]) && bytes.length > RADIX_MAX,
  [PADDING]: (text, bytes) => again(text, bytes) !== text && (text + again(text, bytes)).includes('=')
}
const NAMED_TEXTS = {
  'more than 128 bytes as one number': bases.base58btc.encode(new Uint8Array(129).fill(1)),
  [PADDING]: 'MAA'
}
// What we read and multiformats reads only with all letters in the case of the base.
const LETTERS = 'letters of the other case'
const ONE_CASE = 'fFbBcCvVtTkK'
const folded = text => text[0] === text[0].toLowerCase() ? text.toLowerCase() : text.toUpperCase()

const again = (text, bytes) => BASE_BY_PREFIX.get(text[0]).encode(bytes)

function compareBases() {
  const some = base => Array.from({ length: TEXTS }, () => [base, random.bytes(random.below(RADIX_MAX + 1))])
  const whole = BASES.flatMap(some)
  const inputs = [...Object.values(NAMED_TEXTS), 'fAb']
  const texts = whole.map(([base, bytes]) => base.encode(bytes))
  witness.ask(texts.map(text => ['base', utf8(text)])).forEach((answer, i) => {
    tally.same(`multibase: ${whole[i][0].name}`, answer, [hex(whole[i][1]) || '-'], texts[i])
    const changed = Buffer.from(random.damaged(utf8(texts[i]))).toString('latin1')
    if (/^[\x01-\x7f]+$/.test(changed) && BASE_BY_PREFIX.has(changed[0])) inputs.push(changed)
  })
  witness.ask(inputs.map(text => ['base', utf8(text)])).forEach((answer, i) => {
    const text = inputs[i]
    let { value, error } = attempt(() => BASE_BY_PREFIX.get(text[0]).decode(text))
    if (error !== undefined && typeof answer !== 'string' && ONE_CASE.includes(text[0]) && folded(text) !== text) {
      tally.seen('damaged multibase: only we read ' + LETTERS);
      ({ value, error } = attempt(() => BASE_BY_PREFIX.get(text[0]).decode(folded(text))))
    }
    const want = error === undefined ? [hex(value) || '-'] : undefined
    const reasons = error === undefined ? namesOf(REFUSED_TEXTS, text, value) : []
    agree('damaged multibase', JSON.stringify(text), answer, want, error, reasons)
  })
}

// ---- hashes and signatures ----

function compareHashes() {
  const edges = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 4097, 65536]
  const lengths = [...edges, ...Array.from({ length: HASHES }, () => random.below(6000))]
  const inputs = lengths.map(length => random.bytes(length))
  witness.ask(inputs.map(bytes => ['hash', 0x55, 1 + random.below(3000), bytes])).forEach((answer, i) => {
    const want = [idOf(inputs[i], 0x55).toString(), hex(blake3(inputs[i]))]
    tally.same('hashes', answer, want, `${inputs[i].length} bytes`)
  })
}

function compareSignatures() {
  const seeds = Array.from({ length: SIGNATURES }, () => random.bytes(32))
  const messages = seeds.map(() => random.someBytes(200))
  const checks = []
  witness.ask(seeds.map((seed, i) => ['sign', seed, messages[i]])).forEach((answer, i) => {
    const key = ed25519.getPublicKey(seeds[i])
    const signature = ed25519.sign(messages[i], seeds[i])
    tally.same('signatures: key and signature', answer, ['ed25519:' + base64(key), base64(signature)])
    const changed = Uint8Array.from(signature)
    changed[random.below(64)] ^= 1 << random.below(8)
    checks.push([key, messages[i], signature], [key, messages[i], changed])
  })
  witness.ask(checks.map(([key, ...rest]) => ['verify', 'ed25519:' + base64(key), ...rest])).forEach((answer, i) => {
    const [key, message, signature] = checks[i]
    const good = attempt(() => ed25519.verify(signature, message, key, { zip215: false })).value === true
    const want = good ? [] : 'EID_ERR_BAD_SIGNATURE'
    tally.same('signatures: ' + (good ? 'accepted' : 'refused'), answer, want, hex(signature))
  })
}

compareValues()
compareIdentifiers()
compareBases()
compareHashes()
compareSignatures()
process.exit(tally.close([
  ...Object.keys(NAMED_VALUES).map(name => 'damaged values: only they read ' + name),
  ...Object.keys(NAMED_TEXTS).map(name => 'damaged multibase: only they read ' + name),
  'damaged multibase: only we read ' + LETTERS
]))
