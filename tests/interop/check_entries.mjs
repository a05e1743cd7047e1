// SPDX-License-Identifier: Apache-2.0
// Entries against @ipld/dag-cbor, multiformats and the noble hashes and signatures, in both directions.
//
//     node check_entries.mjs WITNESS
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { Tally, Witness, base64, compareIds, ed25519, hex, idOf, seeded, unhex, utf8 } from './witness.mjs'

const OURS = 1500
const THEIRS = 1500

const link = text => text === '' ? null : CID.decode(unhex(text))
const unbase64 = text => new Uint8Array(Buffer.from(text, 'base64'))
const pubkeyText = raw => 'ed25519:' + base64(raw)
const withoutSignature = entry => ({ ...entry, sig: { key: entry.sig.key } })

// ---- what the builder makes of a plan (entry.md section 9) ----

function settled(ids) {
  const sorted = ids.map(link).sort(compareIds)
  return sorted.filter((id, place) => place === 0 || compareIds(id, sorted[place - 1]) !== 0)
}

function plannedSubtree(store) {
  const node = { name: Buffer.from(store.name, 'hex').toString('utf8'), parents: settled(store.parents) }
  if (store.data !== null) node.data = unhex(store.data)
  if (store.height !== null) node.h = BigInt(store.height)
  return node
}

function plannedKey(plan, publicKey) {
  const hint = {}
  if (plan.kind === 'default' || plan.has_pubkey) hint.pubkey = pubkeyText(publicKey)
  if (plan.kind !== 'default') {
    if (plan.key_name !== null) hint.name = Buffer.from(plan.key_name, 'hex').toString('utf8')
    if (plan.global) hint.is_global = true
  }
  if (plan.kind !== 'delegation') return { Direct: { hint } }
  return { Delegation: { hint, path: plan.path.map(step => ({ tree: link(step.tree), tips: step.tips.map(link) })) } }
}

function plannedEntry(plan) {
  const tree = { parents: settled(plan.parents) }
  if (plan.root !== null) tree.root = link(plan.root)
  if (plan.metadata !== null) tree.metadata = unhex(plan.metadata)
  if (plan.height !== '0') tree.h = BigInt(plan.height)
  const stores = new Map(plan.stores.map(store => [store.name, plannedSubtree(store)]))
  const subtrees = [...stores.values()].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
  const entry = { tree, subtrees, sig: { key: { Direct: { hint: {} } } } }
  if (plan.seed === null) return entry
  const seed = unhex(plan.seed)
  entry.sig.key = plannedKey(plan, ed25519.getPublicKey(seed))
  return { ...entry, sig: { ...entry.sig, sig: base64(ed25519.sign(dagCbor.encode(withoutSignature(entry)), seed)) } }
}

function compareOurs(line, tally) {
  const entry = plannedEntry(line.plan)
  const bytes = unhex(line.cbor)
  tally.same('ours: made from the plan, signed by noble: the same bytes', line.cbor, hex(dagCbor.encode(entry)),
    line.id)
  tally.same('ours: signing bytes', line.signing, hex(dagCbor.encode(withoutSignature(entry))), line.id)
  tally.same('ours: ID by noble and multiformats', line.id, idOf(bytes).toString())
  const read = dagCbor.decode(bytes)
  tally.same('ours: read and written again by dag-cbor', hex(dagCbor.encode(read)), line.cbor, line.id)
  if (line.plan.seed !== null) {
    const key = ed25519.getPublicKey(unhex(line.plan.seed))
    const signature = unbase64(read.sig.sig)
    const good = ed25519.verify(signature, dagCbor.encode(withoutSignature(read)), key)
    tally.same('ours: signature verified by noble', String(good), 'true', line.id)
  }
}

// ---- their entries ----

class Maker {
  constructor(random) {
    this.random = random
    this.seeds = Array.from({ length: 20 }, () => random.bytes(32))
  }

  link() {
    const r = this.random
    if (r.chance(0.1)) return CID.decode(Uint8Array.of(0x12, 0x20, ...r.bytes(32)))
    if (r.chance(0.1)) return CID.decode(Uint8Array.of(1, 0xff, 0xff, 0x7f, 0xfe, 0x7f, 9, ...r.bytes(9)))
    return CID.decode(Uint8Array.of(1, r.choice([0x55, 0x71]), 0x1e, 0x20, ...r.bytes(32)))
  }

  links() {
    return Array.from({ length: this.random.below(4) }, () => this.random.chance(0.02) ? null : this.link())
  }

  subtree() {
    const r = this.random
    const name = r.chance(0.3) ? r.choice(['_root', '_settings', 'data', '']) : r.text()
    const node = { name, parents: this.links() }
    if (r.chance(0.7)) node.data = r.someBytes(100)
    if (r.chance(0.3)) node.h = r.u64()
    return node
  }

  hint(seed) {
    const hint = {}
    if (this.random.chance(0.6)) hint.pubkey = pubkeyText(ed25519.getPublicKey(seed))
    if (this.random.chance(0.3)) hint.name = this.random.text()
    if (this.random.chance(0.2)) hint.is_global = true
    return hint
  }

  entry() {
    const r = this.random
    const tree = { parents: this.links() }
    if (r.chance(0.7)) tree.root = this.link()
    if (r.chance(0.6)) tree.metadata = r.someBytes(100)
    const height = r.u64()
    if (height > 0) tree.h = height
    const subtrees = Array.from({ length: r.below(4) }, () => this.subtree())
    const seed = r.choice(this.seeds)
    const step = () => ({ tree: this.link(), tips: this.links() })
    const key = r.chance(0.3)
      ? { Delegation: { hint: this.hint(seed), path: Array.from({ length: r.below(4) }, step) } }
      : { Direct: { hint: r.chance(0.8) ? this.hint(seed) : {} } }
    const entry = { tree, subtrees, sig: { key } }
    if (r.chance(0.3)) return entry
    const signature = ed25519.sign(dagCbor.encode(entry), r.chance(0.2) ? r.choice(this.seeds) : seed)
    if (r.chance(0.2)) signature[r.below(64)] ^= 1 << r.below(8)
    return { ...entry, sig: { key, sig: base64(signature) } }
  }
}

function signatureWord(entry) {
  const [[kind, key]] = Object.entries(entry.sig.key)
  const isSet = 'pubkey' in key.hint || 'name' in key.hint
  const isSigned = 'sig' in entry.sig
  if (kind === 'Delegation' ? !isSigned : isSet !== isSigned) return 'malformed'
  if (!isSigned) return 'unsigned'
  if (!('pubkey' in key.hint)) return 'unnamed'
  const publicKey = unbase64(key.hint.pubkey.slice('ed25519:'.length))
  try {
    const message = dagCbor.encode(withoutSignature(entry))
    return ed25519.verify(unbase64(entry.sig.sig), message, publicKey, { zip215: false }) ? 'valid' : 'invalid'
  } catch {
    return 'invalid'
  }
}

// The JSON form (section 8); numbers beyond those of JavaScript are left to Python.
function jsonForm(entry) {
  return JSON.stringify(entry, (_, value) => {
    if (value instanceof CID || value?.['/'] !== undefined) return String(CID.asCID(value) ?? value['/'])
    if (value instanceof Uint8Array) return [...value]
    if (typeof value === 'bigint') return Number(value)
    return value
  })
}

const hasLargeNumber = entry => [entry.tree.h, ...entry.subtrees.map(node => node.h)]
  .some(height => height !== undefined && height > Number.MAX_SAFE_INTEGER)

// Empty identifiers are "" in JSON.
const withEmptyText = entry => {
  const texts = ids => ids.map(id => id ?? '')
  const [[kind, key]] = Object.entries(entry.sig.key)
  const path = key.path?.map(step => ({ ...step, tips: texts(step.tips) }))
  return {
    tree: { ...entry.tree, parents: texts(entry.tree.parents) },
    subtrees: entry.subtrees.map(node => ({ ...node, parents: texts(node.parents) })),
    sig: { ...entry.sig, key: { [kind]: path === undefined ? key : { ...key, path } } }
  }
}

function compareTheirs(witness, maker, tally) {
  const entries = Array.from({ length: THEIRS }, () => maker.entry())
  const forms = entries.map(entry => dagCbor.encode(entry))
  witness.ask(forms.map(form => ['entry', form])).forEach((answer, i) => {
    const word = signatureWord(entries[i])
    const want = [idOf(forms[i]).toString(), hex(forms[i]), hex(dagCbor.encode(withoutSignature(entries[i]))), word]
    const have = typeof answer === 'string' ? answer : [answer[0], answer[1], answer[2], answer[4]]
    tally.same('theirs: canonical bytes', have, want, hex(forms[i]))
    tally.seen('theirs: signature ' + word)
  })
  const small = entries.map((_, i) => i).filter(i => !hasLargeNumber(entries[i]))
  witness.ask(small.map(i => ['json', utf8(jsonForm(withEmptyText(entries[i])))])).forEach((answer, at) => {
    const bytes = forms[small[at]]
    const have = typeof answer === 'string' ? answer : answer.slice(0, 2)
    const about = jsonForm(withEmptyText(entries[small[at]]))
    tally.same('theirs: JSON form', have, [idOf(bytes).toString(), hex(bytes)], about)
  })
}

const random = seeded()
const witness = new Witness(process.argv[2])
const tally = new Tally()
for (const line of witness.entries(random.next(), OURS)) compareOurs(line, tally)
compareTheirs(witness, new Maker(random), tally)
const words = ['valid', 'invalid', 'unnamed', 'unsigned', 'malformed']
process.exit(tally.close(words.map(word => 'theirs: signature ' + word)))
