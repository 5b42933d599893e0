// @ts-check
// Follows a public log (C2SP tlog-tiles) and holds it to what it showed before. Needs the verifier beside it, and Node.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import {
  checkCheckpoint,
  isSigned,
  leafHash,
  nodeHash,
  readCheckpoint,
  readKey,
  Refuted,
  rootOfPath,
  sha256,
} from './verifier.mjs';

/** @typedef {import('./verifier.mjs').Key} Key */
/** @typedef {import('./verifier.mjs').Checkpoint} Checkpoint */

/**
 * @typedef {object} Memory what a monitor keeps between two looks
 * @property {'concordat-monitor/1'} format
 * @property {string} origin
 * @property {string[]} keys the log's, that are trusted
 * @property {number} treeSize
 * @property {string[]} edge hashes of the full subtrees, largest first, in base64: all it takes to go on
 * @property {string | null} note the last checkpoint, signed: evidence
 */

const WIDTH = 256;
const TIMEOUT_MS = 15_000;

/**
 * One look at the log. Downloads every entry since the last look, rebuilds the tree from them and compares its root with the signed one:
 * an entry that was edited, dropped or moved, or a log that forked or went back, is Refuted.
 * @param {string} url the address of the platform, or of its log
 * @param {Memory} memory is brought up to date if all is well
 * @returns {Promise<{ checkpoint: Checkpoint, added: number, newKeys: string[] }>}
 */
export async function look(url, memory) {
  const base = logAddress(url);
  const note = (await get(`${base}/checkpoint`)).toString('utf8');
  const checkpoint = readCheckpoint(note);
  if (checkpoint.origin !== memory.origin)
    throw new Refuted(
      `the log is called ${checkpoint.origin} now, and was ${memory.origin}: a restored backup, or a log rewritten under a new name. Ask the operator, compare with the last checkpoint that you have, and begin anew`,
    );
  const trusted = memory.keys.map(readKey);
  const isKnown = checkpoint.signatures.some(({ name, id }) =>
    trusted.some((key) => key.name === name && key.id === id),
  );
  const newKeys = isKnown ? [] : endorsed(await getJson(`${base}/keys`), trusted);
  checkCheckpoint(checkpoint, [...trusted, ...newKeys.map(readKey)]);
  const before = memory.treeSize;
  if (checkpoint.treeSize < before)
    throw new Refuted(`the log went back from ${before} entries to ${checkpoint.treeSize}`);
  const tree = new Edge(
    memory.treeSize,
    memory.edge.map((hash) => Buffer.from(hash, 'base64')),
  );
  if (checkpoint.treeSize > before) await fetchEntries(base, tree, checkpoint.treeSize);
  if (!tree.root().equals(checkpoint.rootHash))
    throw new Refuted(
      checkpoint.treeSize === before
        ? `two checkpoints of ${before} entries have different roots: the log shows one thing to you and another to others, or was rewritten`
        : `the ${checkpoint.treeSize} entries do not continue the ${before} that were seen before: an entry was edited, dropped or moved, or the log forked`,
    );
  memory.treeSize = tree.size;
  memory.edge = tree.hashes().map((hash) => hash.toString('base64'));
  memory.note = note;
  memory.keys.push(...newKeys);
  return { checkpoint, added: checkpoint.treeSize - before, newKeys };
}

/**
 * A monitor that knows nothing yet. Without keys it takes those that the log shows: what comes later is then held to them.
 * @param {string} url @param {string[]} keys
 * @returns {Promise<Memory>}
 */
export async function begin(url, keys) {
  const base = logAddress(url);
  const { origin } = readCheckpoint((await get(`${base}/checkpoint`)).toString('utf8'));
  const shown = keys.length > 0 ? keys : keysOf(await getJson(`${base}/keys`), origin);
  const own = shown.filter((text) => readKey(text).name === origin);
  if (own.length === 0) throw new Refuted(`none of the keys is of the log, which is called ${origin}`);
  return { format: 'concordat-monitor/1', origin, keys: own, treeSize: 0, edge: [], note: null };
}

/** @param {string} path @returns {Memory | null} */
export function recall(path) {
  try {
    const memory = JSON.parse(readFileSync(path, 'utf8'));
    if (memory?.format !== 'concordat-monitor/1') throw new Refuted(`${path} is no memory of a monitor`);
    return memory;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return null;
    throw error;
  }
}

/** @param {string} path @param {Memory} memory */
export function keep(path, memory) {
  writeFileSync(`${path}.new`, `${JSON.stringify(memory, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

/**
 * Throws unless the public log holds this entry at this index, under its last checkpoint.
 * @param {string} url @param {{ index: number, publicEntry: Buffer, keys: readonly Key[] }} claim
 * @returns {Promise<Checkpoint>}
 */
export async function checkInLog(url, { index, publicEntry, keys }) {
  const base = logAddress(url);
  const checkpoint = readCheckpoint((await get(`${base}/checkpoint`)).toString('utf8'));
  checkCheckpoint(checkpoint, keys);
  if (index >= checkpoint.treeSize) throw new Refuted(`the log has ${checkpoint.treeSize} entries, not yet this one`);
  const path = await pathFromTiles(base, index, checkpoint.treeSize);
  const root = rootOfPath({ index, size: checkpoint.treeSize, leaf: leafHash(publicEntry), path });
  if (!root.equals(checkpoint.rootHash)) throw new Refuted('the log holds another entry at this index');
  return checkpoint;
}

/** @param {any} shown what /log/keys answers @param {string} origin @returns {string[]} */
export function keysOf(shown, origin) {
  const keys = Array.isArray(shown?.keys) ? shown.keys : [];
  return keys
    .filter((/** @type {any} */ key) => key.origin === origin)
    .map((/** @type {any} */ key) => String(key.verifierKey));
}

/**
 * Keys that one of the trusted ones says to follow it, or that follow one of those.
 * @param {any} shown @param {readonly Key[]} trusted @returns {string[]}
 */
export function endorsed(shown, trusted) {
  const [known, found] = [[...trusted], /** @type {string[]} */ ([])];
  for (const { verifierKey, endorsedBy, endorsement } of Array.isArray(shown?.keys) ? shown.keys : []) {
    const key = readKey(String(verifierKey));
    if (known.some(({ name, id }) => name === key.name && id === key.id)) continue;
    const by = known.find(({ name, id }) => name === key.name && id === endorsedBy);
    const text = `concordat key\n${verifierKey}\n`;
    if (!by || !isSigned(by, text, Buffer.from(String(endorsement), 'base64'))) continue;
    known.push(key);
    found.push(verifierKey);
  }
  return found;
}

/** @param {string} base @param {Edge} tree @param {number} size */
async function fetchEntries(base, tree, size) {
  while (tree.size < size) {
    const tile = Math.floor(tree.size / WIDTH);
    const width = Math.min(WIDTH, size - tile * WIDTH);
    const bundle = await get(`${base}/tile/entries/${place(tile)}${width < WIDTH ? `.p/${width}` : ''}`);
    if (bundle.length !== width * 34) throw new Refuted(`the entries from ${tile * WIDTH} on are not ${width}`);
    for (let i = tree.size - tile * WIDTH; i < width; i++) {
      if (bundle.readUInt16BE(i * 34) !== 32) throw new Refuted(`the entry ${tile * WIDTH + i} has not 32 bytes`);
      tree.append(leafHash(bundle.subarray(i * 34 + 2, (i + 1) * 34)));
    }
  }
}

/**
 * The inclusion path of RFC 6962, from the tiles that it takes.
 * @param {string} base @param {number} index @param {number} size
 */
async function pathFromTiles(base, index, size) {
  /** @type {Map<string, Promise<Buffer>>} */
  const tiles = new Map();
  const tile = (/** @type {number} */ level, /** @type {number} */ at) => {
    const there = Math.floor(size / WIDTH ** level);
    const width = Math.min(WIDTH, there - at * WIDTH);
    const path = `tile/${level}/${place(at)}${width < WIDTH ? `.p/${width}` : ''}`;
    const bytes = tiles.get(path) ?? get(`${base}/${path}`);
    tiles.set(path, bytes);
    return bytes;
  };
  /** @type {(low: number, high: number) => Promise<Buffer>} */
  const range = async (low, high) => {
    const count = high - low;
    const level = Math.floor(Math.log2(count) / 8);
    if (count === WIDTH ** level && low % count === 0) {
      const at = low / count;
      const bytes = await tile(level, Math.floor(at / WIDTH));
      return bytes.subarray((at % WIDTH) * 32, ((at % WIDTH) + 1) * 32);
    }
    const middle = low + splitOf(count);
    return nodeHash(await range(low, middle), await range(middle, high));
  };
  const path = [];
  for (let [low, high] = [0, size]; high - low > 1;) {
    const middle = low + splitOf(high - low);
    path.unshift(index < middle ? await range(middle, high) : await range(low, middle));
    [low, high] = index < middle ? [low, middle] : [middle, high];
  }
  return path;
}

/** The largest power of two below `count`. @param {number} count */
function splitOf(count) {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

/** The right edge of a tree: one hash for each full subtree. */
class Edge {
  /** @param {number} size @param {Buffer[]} hashes */
  constructor(size, hashes) {
    this.size = size;
    /** @type {{ hash: Buffer, leaves: number }[]} */
    this.full = [];
    let rest = size;
    for (const hash of hashes) {
      const leaves = 2 ** Math.floor(Math.log2(rest));
      this.full.push({ hash, leaves });
      rest -= leaves;
    }
    if (rest !== 0) throw new Refuted('the memory of the monitor is not whole');
  }

  /** @param {Buffer} leaf */
  append(leaf) {
    let [hash, leaves] = [leaf, 1];
    for (let last = this.full.at(-1); last?.leaves === leaves; last = this.full.at(-1)) {
      hash = nodeHash(last.hash, hash);
      leaves *= 2;
      this.full.pop();
    }
    this.full.push({ hash, leaves });
    this.size++;
  }

  hashes() {
    return this.full.map(({ hash }) => hash);
  }

  root() {
    if (this.size === 0) return sha256('');
    return this.hashes().reduceRight((right, left) => nodeHash(left, right));
  }
}

/** 1234067 -> x001/x234/067 @param {number} index */
function place(index) {
  const groups = [];
  for (let rest = index; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(String(rest % 1000).padStart(3, '0'));
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

/** @param {string} url */
function logAddress(url) {
  const base = url.replace(/\/+$/, '');
  return base.endsWith('/log') ? base : `${base}/log`;
}

/** @param {string} address @returns {Promise<Buffer>} */
async function get(address) {
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** @param {string} address @returns {Promise<any>} */
async function getJson(address) {
  return JSON.parse((await get(address)).toString('utf8'));
}
