// SPDX-License-Identifier: Apache-2.0
// Asking the witness, counting comparisons, random material: what witness.py is for Python.
import { spawnSync } from 'node:child_process'
import { blake3 } from '@noble/hashes/blake3'
import { sha512 } from '@noble/hashes/sha2'
import * as ed25519 from '@noble/ed25519'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'

const SHOWN_FAILURES = 10
const SHOWN_TEXT = 600

ed25519.etc.sha512Sync = (...parts) => sha512(ed25519.etc.concatBytes(...parts))
export { ed25519, blake3 }

export const hex = bytes => Buffer.from(bytes).toString('hex')
export const unhex = text => new Uint8Array(Buffer.from(text === '-' ? '' : text, 'hex'))
export const utf8 = text => new TextEncoder().encode(text)
export const base64 = bytes => Buffer.from(bytes).toString('base64')

export class Witness {
  constructor(path) {
    this.path = path
  }

  run(words, input) {
    const done = spawnSync(this.path, words, { input, maxBuffer: 2 ** 30 })
    if (done.status !== 0) throw new Error(`the witness ended with ${done.status}: ${done.stderr}`)
    return done.stdout.toString('utf8').split('\n').slice(0, -1)
  }

  entries(seed, count) {
    return this.run(['entries', String(seed), String(count)]).map(line => JSON.parse(line))
  }

  ids(seed, count) {
    return this.run(['ids', String(seed), String(count)]).map(line => line.split(' '))
  }

  // One answer for each question (a list of words; bytes become hexadecimal): a list of words, or the status as text.
  ask(questions) {
    const word = part => part instanceof Uint8Array ? hex(part) || '-' : String(part)
    const lines = this.run(['answer'], questions.map(question => question.map(word).join(' ') + '\n').join(''))
    if (lines.length !== questions.length) throw new Error(`${questions.length} questions, ${lines.length} answers`)
    return lines.map(line => line[0] === '+' ? line.split(' ').slice(1) : line.slice(2))
  }
}

export class Tally {
  constructor() {
    this.counts = new Map()
    this.failures = 0
  }

  fail(name, text) {
    if (++this.failures <= SHOWN_FAILURES) console.log(`FAILED ${name}: ${text}`)
  }

  seen(name) {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  // Compares texts, or what their JSON is.
  same(name, have, want, about = '') {
    this.seen(name)
    const [a, b] = [have, want].map(side => typeof side === 'string' ? side : JSON.stringify(side))
    if (a === b) return true
    let at = 0
    while (a[at] === b[at]) at++
    const from = Math.max(0, at - 80)
    this.fail(name, `${about.slice(0, SHOWN_TEXT)}\n    different from character ${at}\n    have …` +
      `${a.slice(from, from + SHOWN_TEXT)}\n    want …${b.slice(from, from + SHOWN_TEXT)}`)
    return false
  }

  // Prints the figures; the exit status. Each name in `required` must have been seen.
  close(required) {
    for (const name of required) {
      if (!this.counts.has(name)) this.fail(name, 'nothing was compared')
    }
    let sum = 0
    for (const [name, count] of this.counts) {
      console.log(`${String(count).padStart(8)}  ${name}`)
      sum += count
    }
    console.log(`${sum} comparisons, ${this.failures} failed`)
    return this.failures > 0 || sum === 0 ? 1 : 0
  }
}

// ---- randomness ----

// Ends of ranges, controls, quotes, other planes.
const CHARACTERS = ['a', 'b', 'Z', '_', ' ', '\0', '\x01', '\n', '"', '\\', '/', '\x7f', '\x80', 'é', '\u07ff', '\u0800',
  '漢', '\ud7ff', '\ue000', '\ufffd', '\uffff', '\u{10000}', '😀', '\u{10ffff}']
const EDGES = [0n, 1n, 23n, 24n, 255n, 256n, 65535n, 65536n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n,
  2n ** 63n, 2n ** 64n - 1n]

export class Random {
  constructor(seed) {
    this.state = seed >>> 0
  }

  // Mulberry32.
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  below(bound) {
    return this.next() % bound
  }

  chance(share) {
    return this.next() < share * 2 ** 32
  }

  choice(list) {
    return list[this.below(list.length)]
  }

  bytes(length) {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  someBytes(most = 60) {
    return this.bytes(this.chance(0.05) ? this.choice([23, 24, 255, 256]) : this.below(most))
  }

  text(most = 8) {
    const pieces = this.chance(0.6) ? [...'abcdexyz_0'] : CHARACTERS
    return Array.from({ length: this.below(most + 1) }, () => this.choice(pieces)).join('')
  }

  // The writer takes small numbers as Number and large ones as BigInt; both are given it.
  u64() {
    const number = this.chance(0.4) ? this.choice(EDGES)
      : BigInt.asUintN(64, (BigInt(this.next()) << 32n) + BigInt(this.next())) >> BigInt(this.below(64))
    return number <= 2n ** 53n - 1n && this.chance(0.5) ? Number(number) : number
  }

  damaged(bytes) {
    const data = [...bytes]
    const place = this.below(data.length || 1)
    const kind = this.below(5)
    if (kind === 0 || data.length === 0) data.splice(place, 0, this.below(256))
    else if (kind === 1) data.splice(place, 1)
    else if (kind === 2) data[place] ^= 1 << this.below(8)
    else if (kind === 3) data[place] = this.below(256)
    else data.splice(place)
    return Uint8Array.from(data)
  }
}

export function seeded() {
  const seed = Number(process.env.EID_TEST_SEED || 1)
  console.log(`seed ${seed}`)
  return new Random(seed)
}

// ---- identifiers ----

export const idOf = (bytes, codec = 0x71) => CID.createV1(codec, Digest.create(0x1e, blake3(bytes)))

// The order of section 3 of entry.md; null is the empty identifier.
export function compareIds(a, b) {
  if (a === null || b === null) return (a !== null) - (b !== null)
  const numbers = id => [id.version, id.code, id.multihash.code, id.multihash.size]
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < left.length; i++) {
    if (left[i] !== right[i]) return left[i] < right[i] ? -1 : 1
  }
  return Buffer.compare(a.multihash.digest, b.multihash.digest)
}
