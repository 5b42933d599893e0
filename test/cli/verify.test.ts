import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import { afterAll, describe, expect, it } from 'vitest';
import { canonical, checkConsistency, checkReceipt, readKey, Refuted, rootOfPath } from '../../src/cli/verifier.mjs';
import {
  consistencyOf,
  leafOf,
  lineOf,
  newKey,
  noteOf,
  pathOf,
  randomEntries,
  rootOf,
  sha256,
  signText,
  startEvilLog,
} from './evil-log.js';
import { answer, columns, key, makeReceipts, origin } from './receipts.js';

const folder = mkdtempSync(join(tmpdir(), 'concordat-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const keys = [readKey(key.verifierKey)];
const whyNot = (receipt: unknown, trusted = keys): string => {
  try {
    checkReceipt(receipt, trusted);
    return 'proved';
  } catch (error) {
    expect(error).toBeInstanceOf(Refuted);
    return (error as Error).message;
  }
};

describe('proofs', () => {
  const leaves = randomEntries(70).map(leafOf);

  it('of inclusion are accepted as RFC 6962 makes them, and not otherwise', () => {
    for (const size of [1, 2, 3, 5, 8, 31, 32, 33, 70]) {
      const root = rootOf(leaves.slice(0, size));
      for (let index = 0; index < size; index++) {
        const path = pathOf(index, leaves.slice(0, size));
        expect(rootOfPath({ index, size, leaf: leaves[index]!, path })).toEqual(root);
        expect(() => rootOfPath({ index, size, leaf: leaves[index]!, path: [...path, root] })).toThrow('too long');
        if (path.length > 0)
          expect(() => rootOfPath({ index, size, leaf: leaves[index]!, path: path.slice(1) })).toThrow(
            /too (short|long)/,
          );
        if (size > 1) {
          const other = (index + 1) % size;
          // Of another place the path has another length, or leads to another root.
          try {
            expect(rootOfPath({ index: other, size, leaf: leaves[index]!, path })).not.toEqual(root);
          } catch (error) {
            expect(error).toBeInstanceOf(Refuted);
          }
        }
      }
    }
    expect(() => rootOfPath({ index: 3, size: 3, leaf: leaves[0]!, path: [] })).toThrow('does not lie');
  });

  it('of consistency likewise', () => {
    for (const to of [1, 2, 3, 7, 8, 33, 70])
      for (let from = 1; from <= to; from++) {
        const [older, newer] = [leaves.slice(0, from), leaves.slice(0, to)];
        const claim = { from, to, fromRoot: rootOf(older), toRoot: rootOf(newer), path: consistencyOf(from, newer) };
        checkConsistency(claim);
        const forged = rootOf([...older.slice(0, -1), leaves[69]!]);
        if (!forged.equals(claim.fromRoot))
          expect(() => checkConsistency({ ...claim, fromRoot: forged })).toThrow(Refuted);
        expect(() => checkConsistency({ ...claim, path: [...claim.path, older[0]!] })).toThrow(Refuted);
        if (claim.path.length > 0)
          expect(() => checkConsistency({ ...claim, path: claim.path.slice(0, -1) })).toThrow(Refuted);
      }
  });

  it('are over canonical JSON as RFC 8785 writes it', () => {
    for (const value of [
      null,
      1e21,
      -0,
      1e-7,
      'é\u2028"\\',
      { b: [1, { z: null, a: '€' }], a: {}, '\u{1f600}': 1, '\ufb33': 2 },
    ])
      expect(canonical(value)).toBe(canonicalize(value));
  });
});

describe('a receipt', () => {
  const receipts = makeReceipts(1000, 7);

  it('proves its entry with the public key alone', () => {
    for (const receipt of receipts)
      expect(checkReceipt(JSON.parse(JSON.stringify(receipt)), keys).entry).toEqual(receipt.entry);
    expect(whyNot(makeReceipts(5, 1)[0])).toBe('proved');
  });

  it('proves nothing once anything in it was changed', () => {
    const receipt = receipts[3]!;
    /** Every value in the receipt, one after the other, changed. */
    const changed = (value: unknown): unknown[] => {
      if (typeof value === 'number') return [value + 1, value - 1, String(value), 1e300, null];
      if (typeof value === 'string')
        return [`${value}x`, value.slice(1), `${value[0] === 'A' ? 'B' : 'A'}${value.slice(1)}`, '', null, 7];
      if (Array.isArray(value))
        return [
          [],
          value.slice(1),
          [...value, value[0]],
          value.toReversed(),
          ...value.flatMap((one, i) => changed(one).map((other) => value.with(i, other))),
        ];
      const object = value as Record<string, unknown>;
      return [
        null,
        { ...object, more: 1 },
        ...Object.keys(object).flatMap((name) => [
          Object.fromEntries(Object.entries(object).filter(([other]) => other !== name)),
          ...changed(object[name]).map((other) => ({ ...object, [name]: other })),
        ]),
      ];
    };
    let tried = 0;
    for (const [part, value] of Object.entries(receipt)) {
      // The salt opens the digests; it is no part of what is signed.
      if (part === 'saltHex') continue;
      for (const other of changed(value)) {
        const forged: unknown = JSON.parse(JSON.stringify({ ...receipt, [part]: other }));
        // What is hashed by itself may have no more fields; the batch may have unknown ones beside what is signed.
        if (JSON.stringify(forged) === JSON.stringify(receipt) || (part === 'batch' && (other as { more?: 1 })?.more))
          continue;
        expect(whyNot(forged), JSON.stringify(forged)).not.toBe('proved');
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(80);
  });

  it('proves nothing with parts of another, or for another key', () => {
    const [one, two] = [receipts[1]!, receipts[2]!];
    const later = makeReceipts(1007, 7)[1]!;
    expect(whyNot({ ...one, entry: two.entry })).toMatch(/signature/);
    expect(whyNot({ ...one, batch: two.batch })).toMatch(/signature/);
    expect(whyNot({ ...one, batch: later.batch })).toMatch(/index/);
    expect(whyNot({ ...one, batch: { ...one.batch, signature: later.batch.signature } })).toMatch(/signature/);
    expect(whyNot(makeReceipts(0, 1, newKey(origin))[0])).toMatch(/not among those that you trust/);
    const stranger = newKey(origin);
    expect(whyNot(one, [{ ...readKey(stranger.verifierKey), id: key.id }])).toMatch(/signature/);
    // The key of a witness signs no receipts.
    expect(whyNot(one, [{ ...keys[0]!, kind: 4 }])).toMatch(/not among those/);
    for (const nothing of [null, 7, [], {}, { format: 'concordat-receipt/2' }])
      expect(whyNot(nothing)).toMatch(/no receipt/);
  });
});

/** Runs the command as a person would. */
function run(...args: string[]): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['src/cli/concordat.mjs', ...args], { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, out: stdout + stderr }),
    );
  });
}
const file = (name: string, content: unknown) => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

describe('concordat verify', { timeout: 60_000 }, () => {
  const receipt = makeReceipts(4, 3)[1]!;
  const path = file('receipt.json', receipt);
  const keyFile = file('keys.json', { origin, keys: [{ origin, verifierKey: key.verifierKey }] });

  it('proves a receipt, and what it opens, and says so', async () => {
    const proved = await run('verify', path, '--key', key.verifierKey);
    expect(proved).toMatchObject({ code: 0 });
    expect(proved.out).toContain(`The entry 5 of the log ${origin} is as it was signed with the key ${key.id}.`);
    expect(proved.out).toContain('agr_1');
    const inside = file('answered.json', { data: { predict: { prediction: { ...answer, receipt } } } });
    const request = file('request.json', { columns });
    const opened = await run('verify', inside, '--keys', keyFile, '--answer', inside, '--request', request);
    expect(opened).toMatchObject({ code: 0 });
    expect(opened.out).toContain('The answer is the recorded one.\nThe rows are the recorded ones.');
    const lines = file('keys.txt', `${newKey(origin).verifierKey}\n${key.verifierKey}\n`);
    expect(JSON.parse((await run('verify', path, '--keys', lines, '--json')).out)).toMatchObject({
      entry: { index: 5 },
    });
  });

  it('refutes by exit code 1, and tells wrong use apart', async () => {
    const refuted = async (content: unknown, ...more: string[]) =>
      run('verify', file('other.json', content), '--keys', keyFile, ...more);
    expect(await refuted({ ...receipt, entry: { ...receipt.entry, rowCount: 1 } })).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^NOT PROVED: the signature is not over this entry/) as string,
    });
    const other = file('another.json', { ...answer, labels: ['no', 'no'] });
    expect(await refuted(receipt, '--answer', other)).toMatchObject({
      code: 1,
      out: expect.stringContaining('not the answer') as string,
    });
    const rows = file('rows.json', { columns: { ...columns, x: [1.5, 2] } });
    expect(await refuted(receipt, '--request', rows)).toMatchObject({
      code: 1,
      out: expect.stringContaining('not the rows') as string,
    });
    expect(await run('verify', path)).toMatchObject({ code: 64, out: expect.stringContaining('/log/keys') as string });
    expect(await run('verify', path, '--key', 'nonsense')).toMatchObject({ code: 1 });
    expect(await run('verify', join(folder, 'none.json'), '--keys', keyFile)).toMatchObject({ code: 66 });
    expect(await run('verify', file('broken.json', '{'), '--keys', keyFile)).toMatchObject({ code: 66 });
    expect(await run('verify')).toMatchObject({ code: 64 });
    expect(await run('verify', path, '--wrong')).toMatchObject({ code: 64 });
    expect(await run('--help')).toMatchObject({ code: 0 });
    expect(await run('verify', path, '--keys', keyFile, '--log', 'http://127.0.0.1:1')).toMatchObject({ code: 69 });
  });

  it('proves that a checkpoint and the public log hold the entry', async () => {
    const entries = randomEntries(600);
    entries[5] = sha256(canonicalize(receipt.entry)!);
    const log = await startEvilLog(entries);
    try {
      const leaves = entries.map(leafOf);
      const witness = newKey('witness.example/w', 4);
      const note = noteOf(origin, entries, key);
      const time = Buffer.alloc(8);
      time.writeBigUInt64BE(1_800_000_000n);
      const cosigned = signText(`cosignature/v1\ntime 1800000000\n${note.split('\n\n')[0]}\n`, witness);
      const checkpoint = file('checkpoint', note + lineOf(witness, Buffer.concat([time, cosigned])));
      const proof = { treeSize: 600, path: pathOf(5, leaves).map((hash) => hash.toString('base64')) };
      const held = ['--checkpoint', checkpoint, '--proof'];
      const proved = await run(
        'verify',
        path,
        '--key',
        key.verifierKey,
        '--key',
        witness.verifierKey,
        ...held,
        file('proof.json', { data: { logInclusionProof: proof } }),
      );
      expect(proved).toMatchObject({ code: 0 });
      expect(proved.out).toContain(
        'The checkpoint of 600 entries holds it, seen by witness.example/w at 2027-01-15T08:00:00.000Z.',
      );
      const wrong = file('proof.json', { ...proof, path: pathOf(6, leaves).map((hash) => hash.toString('base64')) });
      expect(await run('verify', path, '--keys', keyFile, ...held, wrong)).toMatchObject({ code: 1 });
      log.origin = origin;
      log.key = key;
      const online = await run('verify', path, '--keys', keyFile, '--log', log.url);
      expect(online.out).toContain('The public log of 600 entries holds it.');
      log.entries = entries.with(5, randomBytes(32));
      expect(await run('verify', path, '--keys', keyFile, '--log', log.url)).toMatchObject({
        code: 1,
        out: expect.stringContaining('the log holds another entry at this index') as string,
      });
    } finally {
      await log.close();
    }
  });
});

describe('concordat audit', { timeout: 60_000 }, () => {
  const look = (url: string, memory: string, ...more: string[]) =>
    run('audit', url, '--memory', join(folder, memory), ...more);

  it('follows a log that goes on, across rotated keys', async () => {
    const log = await startEvilLog(randomEntries(300));
    try {
      const first = await look(log.url, 'good.json');
      expect(first).toMatchObject({ code: 0 });
      expect(first.out).toContain(`No key was named: from now on ${log.key.verifierKey} is trusted.`);
      log.entries = [...log.entries, ...randomEntries(777)];
      expect((await look(`${log.url}/log/`, 'good.json')).out).toContain(
        '1077 entries, 777 new, all as signed; they continue the 300',
      );
      expect((await look(log.url, 'good.json')).out).toContain('1077 entries, 0 new');
      const next = newKey(log.origin);
      const text = `concordat key\n${next.verifierKey}\n`;
      const shown = { origin: log.origin, verifierKey: next.verifierKey, endorsedBy: log.key.id };
      log.keys = [
        { origin: log.origin, verifierKey: log.key.verifierKey },
        { ...shown, endorsement: signText(text, log.key).toString('base64') },
      ];
      log.key = next;
      expect((await look(log.url, 'good.json')).out).toContain(
        `A key that the one before endorses: ${next.verifierKey}`,
      );
      // One that nobody endorses is nobody's.
      const stranger = newKey(log.origin);
      log.keys.push({
        ...shown,
        verifierKey: stranger.verifierKey,
        endorsement: signText(text, stranger).toString('base64'),
      });
      log.key = stranger;
      expect(await look(log.url, 'good.json')).toMatchObject({
        code: 1,
        out: expect.stringContaining('no key that you trust') as string,
      });
    } finally {
      await log.close();
    }
  });

  const FAULTS: Record<string, { change(entries: Buffer[]): Buffer[]; says: string }> = {
    'an edited entry': { change: (e) => [...e.with(17, randomBytes(32)), randomBytes(32)], says: 'do not continue' },
    'an edited entry, without a new one': { change: (e) => e.with(17, randomBytes(32)), says: 'different roots' },
    'a dropped entry': { change: (e) => [...e.toSpliced(299, 1), ...randomEntries(5)], says: 'do not continue' },
    'two entries in another order': {
      change: (e) => [...e.with(3, e[4]!).with(4, e[3]!), randomBytes(32)],
      says: 'do not continue',
    },
    'a fork': { change: (e) => [...e.slice(0, 256), ...randomEntries(100)], says: 'do not continue' },
    'a log that went back': { change: (e) => e.slice(0, -1), says: 'went back from 300 entries to 299' },
    'an empty log': { change: () => [], says: 'went back from 300 entries to 0' },
  };
  it.each(Object.entries(FAULTS))('finds %s', async (name, { change, says }) => {
    const log = await startEvilLog(randomEntries(300));
    try {
      expect(await look(log.url, `${name}.json`)).toMatchObject({ code: 0 });
      const before = noteOf(log.origin, log.entries, log.key);
      log.entries = change(log.entries);
      const found = await look(log.url, `${name}.json`);
      expect(found.code).toBe(1);
      expect(found.out).toContain(says);
      // What was signed before is the evidence.
      expect(found.out).toContain(before);
    } finally {
      await log.close();
    }
  });

  it('finds tiles that are not those of the checkpoint, and what is not signed', async () => {
    const log = await startEvilLog(randomEntries(300));
    const full = Buffer.concat(log.entries.slice(0, 256).flatMap((entry) => [Buffer.of(0, 32), entry]));
    try {
      const fails = async (says: string) => {
        const found = await look(log.url, `${says}.json`);
        expect(found.out).toContain(says);
        expect(found.code).toBe(1);
        log.instead.clear();
      };
      log.instead.set('tile/entries/000', Buffer.from(full.map((byte, i) => (i === 5000 ? byte ^ 1 : byte))));
      await fails('do not continue the 0');
      log.instead.set('tile/entries/000', full.subarray(34));
      await fails('the entries from 0 on are not 256');
      log.instead.set('tile/entries/000', Buffer.concat([Buffer.of(0, 31), full.subarray(2)]));
      await fails('has not 32 bytes');
      const note = noteOf(log.origin, log.entries, log.key);
      log.instead.set('checkpoint', note.replace('\n300\n', '\n299\n'));
      await fails('the signature of the checkpoint is wrong');
      log.instead.set('checkpoint', 'nothing');
      await fails('this is no signed note');
      expect((await look(log.url, 'origin.json')).code).toBe(0);
      log.origin = 'evil.example/new';
      log.key = newKey(log.origin);
      expect(await look(log.url, 'origin.json')).toMatchObject({
        code: 1,
        out: expect.stringContaining('is called evil.example/new now') as string,
      });
    } finally {
      await log.close();
    }
    expect(await look(log.url, 'origin.json')).toMatchObject({ code: 69 });
  });
});
