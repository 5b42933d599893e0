#!/usr/bin/env node
// @ts-check
// The command for those who need not trust the platform: it checks receipts, and follows the log. Node and the two files beside it are
// all it takes; there is nothing to build or to install.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { begin, checkInLog, keep, keysOf, look, recall } from './monitor.mjs';
import {
  checkAnswer,
  checkBatch,
  checkCheckpoint,
  checkReceipt,
  checkRequest,
  hashOf,
  leafHash,
  readCheckpoint,
  readKey,
  Refuted,
  rootOfPath,
  witnessesOf,
} from './verifier.mjs';

const HELP = `concordat verify RECEIPT.json (--key KEY … | --keys FILE)     checks a receipt, offline
    --answer FILE      also that this answer (labels, scores, values) is the recorded one
    --request FILE     also that these rows (named columns) are the recorded ones
    --checkpoint FILE --proof FILE   also that the log of a checkpoint holds it (answer of logInclusionProof)
    --log URL          also that the public log holds it now
    --json             prints what was proved as JSON
concordat verify manifest.json (--key KEY … | --keys FILE)    checks a batch: every receipt of it
    --answers FILE     also that these answers (answers.jsonl) are the recorded ones
concordat audit URL [--key KEY … | --keys FILE]              follows the public log
    --memory FILE      what it remembers between two looks (concordat-log.json)
    --every SECONDS    looks again and again; otherwise once

KEY: name+id+base64, as /log/keys shows it. FILE of keys: the answer of /log/keys, or one key a line.
Exit codes: 0 proved, 1 refuted, 64 wrong use, 66 a file cannot be read, 69 no answer from the log.`;

/** Wrong use, or a file or server that does not give what it should. */
class Stop extends Error {
  /** @param {number} exitCode @param {string} message */
  constructor(exitCode, message) {
    super(message);
    this.exitCode = exitCode;
  }
}

const OPTIONS = /** @type {const} */ ({
  key: { type: 'string', multiple: true },
  keys: { type: 'string' },
  answer: { type: 'string' },
  answers: { type: 'string' },
  request: { type: 'string' },
  checkpoint: { type: 'string' },
  proof: { type: 'string' },
  log: { type: 'string' },
  memory: { type: 'string' },
  every: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
});

/** @typedef {{ [name in keyof typeof OPTIONS]?: any }} Options */

/** @param {string[]} args @returns {Promise<number>} the exit code */
async function main(args) {
  const { values: options, positionals } = understand(args);
  const [verb, what, ...more] = positionals;
  if (options.help || !verb || !what || more.length > 0) {
    console[options.help ? 'log' : 'error'](HELP);
    return options.help ? 0 : 64;
  }
  if (verb === 'verify') return verifyReceipt(what, options);
  if (verb === 'audit') return followLog(what, options);
  throw new Stop(64, `There is no “${verb}”: verify, audit.`);
}

/** @param {string} path @param {Options} options */
async function verifyReceipt(path, options) {
  const read = readJson(path);
  const receipt = receiptIn(read);
  const keys = trustedKeys(options, String(receipt?.origin)).map(readKey);
  if (keys.length === 0)
    throw new Stop(
      64,
      'Name the key that you trust: --key or --keys. The platform shows it at /log/keys; get it once, from where you believe it.',
    );
  if (read?.format === 'concordat-batch/1') return verifyBatch(read, options, keys);
  const proven = checkReceipt(receipt, keys);
  const { entry, context, origin, key, publicEntry } = proven;
  const found = [`The entry ${entry.index} of the log ${origin} is as it was signed with the key ${key.id}.`];
  if (options.answer) {
    checkAnswer(proven, receipt.saltHex, answerIn(readJson(options.answer)));
    found.push('The answer is the recorded one.');
  }
  if (options.request) {
    const request = readJson(options.request);
    checkRequest(proven, receipt.saltHex, request?.columns ?? request, request?.kinds);
    found.push('The rows are the recorded ones.');
  }
  if (options.checkpoint || options.proof) {
    if (!options.checkpoint || !options.proof) throw new Stop(64, '--checkpoint and --proof go together.');
    const checkpoint = readCheckpoint(readText(options.checkpoint));
    checkCheckpoint(checkpoint, keys);
    const proof = proofIn(readJson(options.proof));
    const [index, size] = [entry.index, checkpoint.treeSize];
    const path = proof.path.map((/** @type {unknown} */ hash) => hashOf(hash, 'a hash of the path'));
    const root = rootOfPath({ index, size, leaf: leafHash(publicEntry), path });
    if (!root.equals(checkpoint.rootHash))
      throw new Refuted('the log of the checkpoint holds another entry at this index');
    const seen = witnessesOf(checkpoint, keys).map(({ name, at }) => `, seen by ${name} at ${at.toISOString()}`);
    found.push(`The checkpoint of ${size} entries holds it${seen.join('')}.`);
  }
  if (options.log) {
    const { treeSize } = await reach(() => checkInLog(options.log, { index: entry.index, publicEntry, keys }));
    found.push(`The public log of ${treeSize} entries holds it.`);
  }
  if (options.json) console.log(JSON.stringify({ proved: found, entry, context, origin, keyId: key.id }, null, 2));
  else console.log([...found, '', ...told(entry, context)].join('\n'));
  return 0;
}

/** @param {any} manifest @param {Options} options @param {readonly import('./verifier.mjs').Key[]} keys */
function verifyBatch(manifest, options, keys) {
  const lines = options.answers === undefined ? null : readLines(options.answers);
  const { chunks, rows } = checkBatch(manifest, lines, keys);
  const indices = chunks.map(({ entry }) => entry['index']);
  const [first, last] = [Math.min(...indices), Math.max(...indices)];
  const found = [
    `${chunks.length} chunks of ${rows} of ${manifest.rowCount} rows are as they were signed, entries ${first} to ${last} of the log.`,
  ];
  if (lines) found.push('The answers are the recorded ones.');
  if (options.json) console.log(JSON.stringify({ proved: found, entries: chunks.map(({ entry }) => entry) }, null, 2));
  else console.log(found.join('\n'));
  return 0;
}

/** @param {string} url @param {Options} options */
async function followLog(url, options) {
  const file = options.memory ?? 'concordat-log.json';
  const seconds = options.every === undefined ? null : Number(options.every);
  if (seconds !== null && !(seconds > 0)) throw new Stop(64, '--every takes a number of seconds.');
  const given = trustedKeys(options, null);
  const memory = recall(file) ?? (await reach(() => begin(url, given)));
  if (memory.note === null && given.length === 0)
    console.log(
      `No key was named: from now on ${memory.keys.join(', ')} is trusted. Compare it with what the operator tells you.`,
    );
  for (;;) {
    const before = memory.treeSize;
    try {
      const { checkpoint, added, newKeys } = await reach(() => look(url, memory));
      keep(file, memory);
      for (const key of newKeys) console.log(`A key that the one before endorses: ${key}`);
      console.log(
        `${memory.origin}: ${checkpoint.treeSize} entries, ${added} new, all as signed; they continue the ${before} seen before.`,
      );
      if (options.json) console.log(JSON.stringify({ origin: memory.origin, treeSize: checkpoint.treeSize, added }));
    } catch (error) {
      // A log that does not answer for a while proves nothing.
      if (seconds === null || !(error instanceof Stop)) {
        if (error instanceof Refuted && memory.note) console.error(`What was signed before:\n${memory.note}`);
        throw error;
      }
      console.error(error.message);
    }
    if (seconds === null) return 0;
    await sleep(seconds * 1000);
  }
}

/** @param {any} entry @param {any} context */
function told(entry, context) {
  const pairs = [
    ...Object.entries(entry).filter(([name]) => name !== 'contextDigest' && name !== 'kind'),
    ...Object.entries(context),
  ];
  return pairs.map(
    ([name, value]) => `  ${name.padEnd(24)} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
}

/** @param {Options} options @param {string | null} origin @returns {string[]} */
function trustedKeys({ key = [], keys }, origin) {
  if (keys === undefined) return key;
  const text = readText(keys);
  if (!text.trimStart().startsWith('{')) return [...key, ...text.split('\n').filter((line) => line.trim() !== '')];
  const shown = JSON.parse(text);
  return [...key, ...keysOf(shown, origin ?? shown.origin)];
}

/** The receipt itself, or the answer that has it. @param {any} value @returns {any} */
function receiptIn(value) {
  return search(value, (one) => one.format === 'concordat-receipt/1') ?? value;
}

/** @param {any} value */
function answerIn(value) {
  return search(value, (one) => 'labels' in one || 'values' in one) ?? value;
}

/** @param {any} value */
function proofIn(value) {
  const proof = search(value, (one) => Array.isArray(one.path) && 'treeSize' in one);
  if (!proof) throw new Refuted('there is no inclusion proof in the file of the proof');
  return proof;
}

/** The first object, from the outside in, that is one. @param {any} value @param {(object: any) => boolean} is @returns {any} */
function search(value, is) {
  if (typeof value !== 'object' || value === null) return undefined;
  if (is(value)) return value;
  for (const inner of Object.values(value)) {
    const found = search(inner, is);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new Stop(66, `${path} cannot be read: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {string} path */
function readJson(path) {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch {
    throw new Stop(66, `${path} is not JSON.`);
  }
}

/** JSON lines. @param {string} path @returns {any[]} */
function readLines(path) {
  try {
    return readText(path)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  } catch (error) {
    if (error instanceof Stop) throw error;
    throw new Stop(66, `${path} is not JSON lines.`);
  }
}

/** @template T @param {() => Promise<T>} ask @returns {Promise<T>} */
async function reach(ask) {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Refuted) throw error;
    const { message, cause } = /** @type {Error} */ (error);
    throw new Stop(69, `The log does not answer as it should: ${cause instanceof Error ? cause.message : message}`);
  }
}

/** @param {string[]} args */
function understand(args) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Stop(64, `${/** @type {Error} */ (error).message}\n${HELP}`);
  }
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(
      error instanceof Refuted ? `NOT PROVED: ${error.message}.` : error instanceof Stop ? error.message : error,
    );
    process.exitCode = error instanceof Refuted ? 1 : error instanceof Stop ? error.exitCode : 70;
  },
);
