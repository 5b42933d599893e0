// @ts-check
// What it takes to check a receipt or the log, with node:crypto and nothing else: this file may be copied, read and run anywhere.
// It shares no code with what it checks.
import { createHash, createPublicKey, verify } from 'node:crypto';

/** What was given does not prove what it claims; the message says why. */
export class Refuted extends Error {}

/**
 * @typedef {object} Key a public key: Ed25519, by the name and id that signed notes have
 * @property {string} name
 * @property {string} id 8 hexadecimal digits
 * @property {number} kind 1: of a log; 4: of a witness
 * @property {Buffer} publicKey 32 bytes
 */

/**
 * @typedef {object} Checkpoint
 * @property {string} origin
 * @property {number} treeSize
 * @property {Buffer} rootHash
 * @property {string} text the signed part of the note
 * @property {{ name: string, id: string, signature: Buffer }[]} signatures
 */

/** @param {...(Uint8Array | string)} parts */
export function sha256(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** @param {Buffer} entry the 32 public bytes of an entry */
export const leafHash = (entry) => sha256(Buffer.of(0), entry);

/** @param {Buffer} left @param {Buffer} right */
export const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);

/**
 * Canonical JSON (RFC 8785): names in the order of their UTF-16 units, no spaces; strings and numbers as JSON.stringify writes them.
 * @param {unknown} value
 * @returns {string}
 */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const object = /** @type {Record<string, unknown>} */ (value);
  const names = Object.keys(object).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(object[name])}`).join(',')}}`;
}

/**
 * The root that an inclusion path leads to (RFC 9162 section 2.1.3.2).
 * @param {{ index: number, size: number, leaf: Buffer, path: Buffer[] }} claim
 */
export function rootOfPath({ index, size, leaf, path }) {
  refuteUnless(isCount(index) && isCount(size) && index < size, 'the index does not lie in the tree');
  let [place, last, hash] = [index, size - 1, leaf];
  for (const sibling of path) {
    refuteUnless(last > 0, 'the path is too long');
    if (place % 2 === 1 || place === last) {
      hash = nodeHash(sibling, hash);
      while (place % 2 === 0 && place > 0) [place, last] = [half(place), half(last)];
    } else hash = nodeHash(hash, sibling);
    [place, last] = [half(place), half(last)];
  }
  refuteUnless(last === 0, 'the path is too short');
  return hash;
}

/**
 * Throws unless the tree of `to` leaves with `toRoot` continues that of `from` leaves with `fromRoot` (RFC 9162 section 2.1.4.2).
 * @param {{ from: number, to: number, fromRoot: Buffer, toRoot: Buffer, path: Buffer[] }} claim
 */
export function checkConsistency({ from, to, fromRoot, toRoot, path }) {
  refuteUnless(isCount(from) && isCount(to) && from > 0 && from <= to, 'the sizes are not in order');
  if (from === to) {
    refuteUnless(path.length === 0 && fromRoot.equals(toRoot), 'two trees of one size differ');
    return;
  }
  const hashes = Number.isInteger(Math.log2(from)) ? [fromRoot, ...path] : [...path];
  let [place, last] = [from - 1, to - 1];
  while (place % 2 === 1) [place, last] = [half(place), half(last)];
  const first = hashes.shift();
  if (!first) throw new Refuted('the path is too short');
  let [older, newer] = [first, first];
  for (const hash of hashes) {
    refuteUnless(last > 0, 'the path is too long');
    if (place % 2 === 1 || place === last) {
      [older, newer] = [nodeHash(hash, older), nodeHash(hash, newer)];
      while (place % 2 === 0 && place > 0) [place, last] = [half(place), half(last)];
    } else newer = nodeHash(newer, hash);
    [place, last] = [half(place), half(last)];
  }
  refuteUnless(last === 0, 'the path is too short');
  refuteUnless(older.equals(fromRoot) && newer.equals(toRoot), 'the later tree does not continue the earlier one');
}

/**
 * A public key as signed notes name it: `name+id+base64 (kind || key)`.
 * @param {string} text
 * @returns {Key}
 */
export function readKey(text) {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text.trim()) ?? [];
  if (!name || !id || !encoded) throw new Refuted(`“${text.trim().slice(0, 80)}” is no key: name+id+base64`);
  const bytes = Buffer.from(encoded, 'base64');
  const [kind = 0, publicKey] = [bytes[0], bytes.subarray(1)];
  refuteUnless(publicKey.length === 32 && (kind === 1 || kind === 4), `the key of ${name} is not of a known kind`);
  refuteUnless(
    sha256(`${name}\n`, bytes).toString('hex', 0, 4) === id,
    `the id of the key of ${name} is not that of the key`,
  );
  return { name, id, kind, publicKey };
}

/** @param {Key} key @param {string} text @param {Buffer} signature */
export function isSigned({ publicKey }, text, signature) {
  try {
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return verify(null, Buffer.from(text, 'utf8'), key, signature);
  } catch {
    return false;
  }
}

/**
 * A checkpoint (C2SP tlog-checkpoint), not verified yet.
 * @param {string} note
 * @returns {Checkpoint}
 */
export function readCheckpoint(note) {
  const end = note.lastIndexOf('\n\n');
  refuteUnless(end > 0 && note.endsWith('\n'), 'this is no signed note');
  const text = note.slice(0, end + 1);
  const [origin = '', size = '', root = '', ...more] = text.split('\n');
  refuteUnless(origin !== '' && /^(0|[1-9]\d{0,15})$/.test(size) && more.length > 0, 'this is no checkpoint');
  const signatures = note
    .slice(end + 2, -1)
    .split('\n')
    .map((line) => {
      const [, name = '', encoded = ''] = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
      refuteUnless(name !== '', 'a line of the note is no signature');
      const bytes = Buffer.from(encoded, 'base64');
      return { name, id: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) };
    });
  return { origin, treeSize: Number(size), rootHash: hashOf(root, 'the root'), text, signatures };
}

/**
 * The log's key by which the checkpoint is signed. Throws unless there is one among `keys`, and where a signature of a known key is
 * wrong. Signatures of unknown keys are nobody's.
 * @param {Checkpoint} checkpoint
 * @param {readonly Key[]} keys
 * @returns {Key}
 */
export function checkCheckpoint(checkpoint, keys) {
  let by = null;
  for (const { name, id, signature } of checkpoint.signatures) {
    const key = keys.find((one) => one.kind === 1 && one.name === name && one.id === id);
    if (!key) continue;
    refuteUnless(isSigned(key, checkpoint.text, signature), 'the signature of the checkpoint is wrong');
    if (name === checkpoint.origin) by = key;
  }
  if (!by) throw new Refuted(`no key that you trust has signed the checkpoint of ${checkpoint.origin}`);
  return by;
}

/**
 * The witnesses that co-signed (C2SP tlog-cosignature, cosignature/v1), and when.
 * @param {Checkpoint} checkpoint
 * @param {readonly Key[]} witnesses
 */
export function witnessesOf({ text, signatures }, witnesses) {
  return signatures.flatMap(({ name, id, signature }) => {
    const key = witnesses.find((one) => one.kind === 4 && one.name === name && one.id === id);
    if (!key || signature.length !== 72) return [];
    const seconds = signature.readBigUInt64BE();
    const isRight = isSigned(key, `cosignature/v1\ntime ${seconds}\n${text}`, signature.subarray(8));
    return isRight ? [{ name, at: new Date(Number(seconds) * 1000) }] : [];
  });
}

/**
 * @typedef {object} Proven what a receipt proves
 * @property {Record<string, any>} entry
 * @property {Record<string, any>} context
 * @property {string} origin
 * @property {Key} key by which it is signed
 * @property {Buffer} publicEntry the 32 bytes that the log shows of it
 */

/**
 * Checks a receipt with the platform's public key alone: content, context, path, signature. Throws Refuted.
 * @param {any} receipt parsed JSON
 * @param {readonly Key[]} keys
 * @returns {Proven}
 */
export function checkReceipt(receipt, keys) {
  const { format, origin, entry, context, batch } = receipt ?? {};
  refuteUnless(format === 'concordat-receipt/1', 'this is no receipt: its format is not concordat-receipt/1');
  refuteUnless(isObject(entry) && isObject(context) && isObject(batch), 'a part of the receipt is missing');
  refuteUnless(typeof origin === 'string' && !/\s/.test(origin), 'the receipt names no log');
  refuteUnless(entry.kind === 'prediction' && isCount(entry.index), 'the entry is not that of a prediction');
  refuteUnless(
    sha256(canonical(context)).toString('hex') === entry.contextDigest,
    'the context (who, which agreement, which model) is not the one that was recorded',
  );
  const { firstIndex, size, at, signature, keyId } = batch;
  refuteUnless(isCount(firstIndex) && isCount(size) && Array.isArray(batch.path), 'the batch is not whole');
  refuteUnless(typeof at === 'string' && !/\s/.test(at) && typeof signature === 'string', 'the batch is not whole');
  const publicEntry = sha256(canonical(entry));
  const root = rootOfPath({
    index: entry.index - firstIndex,
    size,
    leaf: leafHash(publicEntry),
    path: batch.path.map((/** @type {unknown} */ hash) => hashOf(hash, 'a hash of the path')),
  });
  const key = keys.find((one) => one.kind === 1 && one.name === origin && one.id === keyId);
  if (!key)
    throw new Refuted(`it is signed with the key ${keyId} of ${origin}, which is not among those that you trust`);
  const text = `concordat batch\n${origin}\n${firstIndex}\n${size}\n${root.toString('base64')}\n${at}\n`;
  refuteUnless(
    isSigned(key, text, bytesIn(signature, 64, 'the signature')),
    'the signature is not over this entry: the receipt was changed, or never given',
  );
  return { entry, context, origin, key, publicEntry };
}

/**
 * Throws unless the answer (labels, scores, values) is the one that the entry commits to.
 * @param {Proven} proven @param {string} saltHex @param {any} answer
 */
export function checkAnswer({ entry }, saltHex, answer) {
  const { labels = null, scores = null, values = null } = answer ?? {};
  const digest = sha256(saltOf(saltHex), 'output:', canonical({ labels, scores, values }));
  refuteUnless(digest.toString('hex') === entry.outputDigest, 'this is not the answer that was recorded');
}

/**
 * Checks the manifest of a batch: every receipt, and that together they are what the manifest says. With `lines` (parsed JSON lines) also
 * that the answers are the recorded ones. Throws Refuted.
 * @param {any} manifest parsed JSON
 * @param {readonly any[] | null} lines
 * @param {readonly Key[]} keys
 * @returns {{ chunks: readonly Proven[], rows: number }}
 */
export function checkBatch(manifest, lines, keys) {
  const { chunks, rowsAnswered, rowCount } = manifest;
  refuteUnless(Array.isArray(chunks) && isCount(rowsAnswered) && isCount(rowCount), 'the manifest is not whole');
  const seen = new Set();
  let rows = 0;
  const proven = chunks.map((/** @type {any} */ chunk, /** @type {number} */ at) => {
    const proof = checkReceipt(chunk.receipt, keys);
    const { entry, context } = proof;
    const where = `chunk ${at}: `;
    refuteUnless(entry.code === 'ANSWERED' && context['door'] === 'BATCH', `${where}this is no answer of a batch`);
    for (const name of ['endpointId', 'agreementId', 'agreementVersion', 'modelVersionId', 'purpose'])
      refuteUnless(context[name] === manifest[name], `${where}the ${name} is another than the manifest says`);
    refuteUnless(
      canonical(context['disclosure']) === canonical(manifest.disclosure),
      `${where}what may be told is another`,
    );
    refuteUnless(!seen.has(entry['predictionId']), `${where}it is there twice`);
    seen.add(entry['predictionId']);
    const isInOrder = chunk.rowCount === entry['rowCount'] && isCount(chunk.firstRow) && chunk.firstRow >= rows;
    refuteUnless(isInOrder && chunk.firstRow + chunk.rowCount <= rowCount, `${where}its rows are others`);
    rows = chunk.firstRow + chunk.rowCount;
    return proof;
  });
  const sum = chunks.reduce((/** @type {number} */ all, /** @type {any} */ chunk) => all + chunk.rowCount, 0);
  refuteUnless(sum === rowsAnswered, 'the rows of the chunks are not those that the manifest counts');
  if (lines) {
    refuteUnless(lines.length === chunks.length, `there are ${lines.length} answers to ${chunks.length} chunks`);
    lines.forEach((line, at) => checkAnswer(proven[at], chunks[at].receipt.saltHex, line?.answer));
  }
  return { chunks: proven, rows: sum };
}

/**
 * How the values of a column may have been hashed, by the kind of the model's input, which the values mostly tell: null where they
 * are not of the kind. Numbers and booleans: float32, NaN is missing. Dates: int64 milliseconds, -2^63 is missing (all
 * little-endian). Categories: JSON, the empty string is missing.
 * @type {Record<string, (values: any[]) => Uint8Array | string | null>}
 */
const WRITERS = {
  number: (values) => (isAll(values, 'number') ? bytesOf(Float32Array.from(values, (value) => value ?? NaN)) : null),
  category: (values) =>
    isAll(values, 'string')
      ? JSON.stringify(values.map((value) => (/^$|[\0\p{Cs}]/u.test(value ?? '') ? '' : value)))
      : null,
  boolean: (values) =>
    isAll(values, 'boolean')
      ? bytesOf(Float32Array.from(values, (value) => (value === null ? NaN : Number(value))))
      : null,
  date: (values) => {
    const times = values.map((value) => (typeof value === 'string' ? timeOf(value) : value));
    if (!times.every((time) => time === null || Number.isInteger(time))) return null;
    return bytesOf(BigInt64Array.from(times, (time) => (time === null ? -(2n ** 63n) : BigInt(time))));
  },
};

/** So many guesses at the kinds of columns are made at most. */
const MOST_GUESSES = 4096;

/**
 * Throws unless the rows (named columns) are those that the entry commits to. `kinds` names the kinds of inputs (number, category,
 * boolean, date) where the values leave more than one open.
 * @param {Proven} proven @param {string} saltHex @param {any} columns @param {Record<string, string>} [kinds]
 */
export function checkRequest({ entry }, saltHex, columns, kinds = {}) {
  refuteUnless(isObject(columns) && Object.values(columns).every(Array.isArray), 'the request has no columns');
  const salt = saltOf(saltHex);
  const names = Object.keys(columns).sort();
  const ways = names.map((name) =>
    Object.entries(WRITERS).flatMap(([kind, write]) => {
      const bytes = (kinds[name] ?? kind) === kind ? write(columns[name]) : null;
      return bytes === null ? [] : [{ kind, bytes }];
    }),
  );
  const guesses = ways.reduce((count, { length }) => count * length, 1);
  refuteUnless(guesses > 0, 'a column is of no kind that a model takes');
  for (let guess = 0; guess < Math.min(guesses, MOST_GUESSES); guess++) {
    let rest = guess;
    const chosen = ways.map((way) => {
      const { kind, bytes } = /** @type {{ kind: string, bytes: Uint8Array | string }} */ (way[rest % way.length]);
      rest = Math.floor(rest / way.length);
      return { kind, bytes };
    });
    const header = JSON.stringify([
      columns[names[0] ?? '']?.length ?? 0,
      ...chosen.map(({ kind }, i) => [names[i], kind]),
    ]);
    const digest = sha256(salt, `input:${header}`, ...chosen.map(({ bytes }) => bytes));
    if (digest.toString('hex') === entry.inputDigest) return;
  }
  throw new Refuted('these are not the rows that were recorded');
}

/** @param {any[]} values @param {string} type */
function isAll(values, type) {
  return values.every((value) => value === null || typeof value === type);
}

/** @param {Float32Array | BigInt64Array} values */
function bytesOf(values) {
  return new Uint8Array(values.buffer);
}

/** Milliseconds of an ISO 8601 date or time, UTC where no zone is told; NaN where it is none. @param {string} text */
function timeOf(text) {
  const [, day, time = '00:00', seconds = ':00', zone = 'Z'] =
    /^([+-]\d{6}-\d\d-\d\d|\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:[.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/.exec(
      text,
    ) ?? [];
  if (!day) return NaN;
  const [whole = ':00', fraction = ''] = seconds.split(/[.,]/);
  const colon = zone === 'Z' || zone.includes(':') ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
  return Date.parse(`${day}T${time}${whole}.${fraction.slice(0, 3).padEnd(3, '0')}${colon}`);
}

/** @param {string} saltHex */
function saltOf(saltHex) {
  refuteUnless(/^[0-9a-f]{32}$/.test(saltHex ?? ''), 'the receipt has no salt, so that it opens no digest');
  return Buffer.from(saltHex, 'hex');
}

/** @param {unknown} text @param {string} what */
export function hashOf(text, what) {
  return bytesIn(text, 32, what);
}

/** One form only: Node's decoder passes over what is no base64. @param {unknown} text @param {number} count @param {string} what */
function bytesIn(text, count, what) {
  const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64');
  refuteUnless(bytes.length === count && bytes.toString('base64') === text, `${what} is not ${count} bytes in base64`);
  return bytes;
}

/** @param {unknown} value @returns {value is number} */
export function isCount(value) {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Beyond 32 bits, where shifting ends. @param {number} value */
function half(value) {
  return Math.floor(value / 2);
}

/** @param {boolean} condition @param {string} why */
function refuteUnless(condition, why) {
  if (!condition) throw new Refuted(why);
}
