import { spawn } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyAuditLog } from '../../src/cli/audit-verify.js';
import { appendAudit } from '../../src/domain/audit/audit.service.js';
import { COSIGNATURE_V1, isSignedBy, keyId, signatureLine, verifierKey } from '../../src/domain/audit/note.js';
import { TreeHasher } from '../../src/domain/audit/tree.js';
import { inPlatform, roleUrl } from '../../src/platform/db.js';
import { PLATFORM } from '../../src/platform/scope.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';

let api: TestApi;
let tenant: TestTenant;
let other: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
  other = await api.tenant();
});

const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
const get = async (path: string) => fetch(`${api.url}/log/${path}`);
const bytes = async (path: string) => Buffer.from(await (await get(path)).arrayBuffer());

interface Checkpoint {
  origin: string;
  treeSize: number;
  rootHash: string;
  text: string;
  signatures: { name: string; keyId: string; signature: Buffer }[];
}
async function checkpoint(path = 'checkpoint'): Promise<Checkpoint> {
  const note = await (await get(path)).text();
  const [text, signed] = note.split('\n\n');
  const [origin, size, rootHash] = text!.split('\n');
  const signatures = signed!
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line)!;
      const decoded = Buffer.from(encoded!, 'base64');
      return { name: name!, keyId: decoded.toString('hex', 0, 4), signature: decoded.subarray(4) };
    });
  return { origin: origin!, treeSize: Number(size), rootHash: rootHash!, text: `${text}\n`, signatures };
}

async function asOwner<T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> {
  const owner = new pg.Client(api.database.databaseUrl);
  await owner.connect();
  try {
    return (await owner.query<T>(text, values)).rows;
  } finally {
    await owner.end();
  }
}

/** Waits until everything that is in the log is in its tree. */
async function integrated(): Promise<Checkpoint> {
  const [row] = await asOwner<{ next: number }>('select next_index::int as next from audit_log');
  return expect
    .poll(() => checkpoint(), { timeout: 10_000 })
    .toMatchObject({ treeSize: row!.next })
    .then(() => checkpoint());
}

async function grow(entries: number): Promise<void> {
  await inPlatform(api.app.db, async (tx) => {
    for (let i = 0; i < entries; i++)
      await appendAudit(
        tx,
        { tenantId: PLATFORM, actor: { kind: 'SYSTEM', id: 'test' } },
        { kind: 'session.closed', subjectId: null },
      );
  });
}

describe('the transparency log', () => {
  it('shows everybody a checkpoint over every entry, signed', async () => {
    const found = await integrated();
    const response = await get('checkpoint');
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('public, max-age=1');
    const leaves = await asOwner<{ leaf_hash: Buffer }>('select leaf_hash from audit_entry order by log_index');
    const tree = new TreeHasher();
    for (const { leaf_hash } of leaves) tree.append(leaf_hash);
    expect(found.rootHash).toBe(tree.root().toString('base64'));
    const keys = (await (await get('keys')).json()) as { origin: string; keys: { id: string; verifierKey: string }[] };
    expect(keys.origin).toBe(found.origin);
    const publicKey = Buffer.from(keys.keys[0]!.verifierKey.split('+').slice(2).join('+'), 'base64').subarray(1);
    expect(found.signatures.map(({ name, keyId }) => [name, keyId])).toEqual([[found.origin, keys.keys[0]!.id]]);
    expect(isSignedBy(publicKey, found.text, found.signatures[0]!.signature)).toBe(true);
    expect(JSON.stringify(keys)).not.toContain('sealed');
  });

  it('shows its tiles and entries as C2SP lays them out', { timeout: 60_000 }, async () => {
    await grow(600);
    const { treeSize, rootHash } = await integrated();
    const rows = await asOwner<{ salt: Buffer; content: string }>(
      'select salt, content from audit_entry order by log_index',
    );
    const entries = rows.map(({ salt, content }) => sha256(salt, Buffer.from(content)));
    const leaves = entries.map((entry) => sha256(Buffer.of(0), entry));
    const width = treeSize % 256;
    const level0 = [...(await Promise.all(['tile/0/000', 'tile/0/001', `tile/0/002.p/${width}`].map(bytes)))];
    expect(Buffer.concat(level0)).toEqual(Buffer.concat(leaves));
    const bundles = await Promise.all(
      ['tile/entries/000', 'tile/entries/001', `tile/entries/002.p/${width}`].map(bytes),
    );
    expect(Buffer.concat(bundles)).toEqual(Buffer.concat(entries.flatMap((entry) => [Buffer.of(0, 32), entry])));
    const level1 = await bytes('tile/1/000.p/2');
    const roots = [0, 1].map((i) => {
      const tree = new TreeHasher();
      for (const leaf of leaves.slice(i * 256, (i + 1) * 256)) tree.append(leaf);
      return tree.root();
    });
    expect(level1).toEqual(Buffer.concat(roots));
    const whole = new TreeHasher();
    for (const leaf of leaves) whole.append(leaf);
    expect(whole.root().toString('base64')).toBe(rootHash);
    // Any narrower tile is there too, also where the full one has replaced it.
    expect(await bytes('tile/0/000.p/7')).toEqual(Buffer.concat(leaves.slice(0, 7)));
    const tile = await get('tile/0/000');
    expect(tile.headers.get('content-type')).toBe('application/octet-stream');
    expect(tile.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    for (const missing of [
      'tile/0/003',
      'tile/0/002',
      `tile/0/002.p/${width + 1}`,
      'tile/0/000.p/256',
      'tile/0/000.p/0',
      'tile/0/x000/000',
      'tile/0/0',
      'tile/00/000',
      'tile/2/000.p/1',
      'tile/9/000',
      'tile/99/x999/x999/x999/x999/999',
    ])
      expect((await get(missing)).status, missing).toBe(404);
    expect((await fetch(`${api.url}/log/checkpoint`, { method: 'POST' })).status).toBe(405);
  });

  it('signs nothing while nothing happens', async () => {
    await integrated();
    const last = () => asOwner('select signed_at, xmin::text as version from log_checkpoint');
    const before = await last();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await last()).toEqual(before);
  });

  it('refuses sizes and indices that there are not', async () => {
    const { treeSize } = await integrated();
    const code = async (field: string) => {
      const { errors } = await api.client.send(`{ ${field} { __typename } }`);
      return errors[0]?.extensions.code;
    };
    expect(await code(`logInclusionProof(index: ${treeSize})`)).toBe('NOT_FOUND');
    expect(await code('logInclusionProof(index: -1)')).toBe('NOT_FOUND');
    expect(await code(`logInclusionProof(index: 0, treeSize: ${treeSize + 1})`)).toBe('INVALID_INPUT');
    expect(await code('logInclusionProof(index: 0, treeSize: 0)')).toBe('INVALID_INPUT');
    expect(await code('logConsistencyProof(from: 0)')).toBe('INVALID_INPUT');
    expect(await code(`logConsistencyProof(from: ${treeSize + 1})`)).toBe('INVALID_INPUT');
    expect(await code(`logConsistencyProof(from: 2, to: ${treeSize})`)).toBeUndefined();
    expect(await code('logInclusionProof(index: 3, treeSize: 9)')).toBeUndefined();
  });

  it('signs with a new key from a rotation on', async () => {
    const before = await integrated();
    const id = await api.app.logKeys.rotate();
    const after = await integrated();
    expect(after.origin).toBe(before.origin);
    expect(after.signatures[0]!.keyId).toBe(id);
    expect(before.signatures[0]!.keyId).not.toBe(id);
  });
});

describe('audit:verify', () => {
  const verify = () => verifyAuditLog(roleUrl(api.database.databaseUrl, api.database.masterKey, 'concordat_ledger'));

  it('holds tiles and checkpoint to the rows', { timeout: 60_000 }, async () => {
    const { rootHash, treeSize } = await integrated();
    expect(await verify()).toEqual({
      sound: true,
      size: treeSize,
      rootHash: Buffer.from(rootHash, 'base64').toString('hex'),
    });
    const tamper = async (change: string, back: string) => {
      await asOwner(change);
      const verdict = await verify();
      await asOwner(back);
      expect(await verify()).toMatchObject({ sound: true });
      return verdict;
    };
    await asOwner('create table kept_tile as select * from log_tile');
    await asOwner('create table kept_checkpoint as select * from log_checkpoint');
    await asOwner('create table kept_entry as select * from audit_entry');
    const tiles = `update log_tile t set data = k.data from kept_tile k where (t.level, t.index) = (k.level, k.index)`;
    const checkpoint = `update log_checkpoint c set root_hash = k.root_hash, tree_size = k.tree_size, note = k.note from kept_checkpoint k`;
    expect(
      await tamper(
        `update log_tile set data = set_byte(data, 32 * 20, get_byte(data, 32 * 20) # 1) where level = -1 and index = 1`,
        tiles,
      ),
    ).toMatchObject({ sound: false, index: 276, because: 'its tile holds another entry' });
    expect(
      await tamper(`update log_tile set data = set_byte(data, 32, get_byte(data, 32) # 1) where level = 1`, tiles),
    ).toMatchObject({ sound: false, because: expect.stringContaining('level 1') as string });
    expect(
      await tamper(`update log_tile set data = substr(data, 1, 32) where level = -1 and index = 2`, tiles),
    ).toMatchObject({ sound: false, index: 513, because: 'its tile does not hold it' });
    expect(await tamper(`update log_checkpoint set root_hash = sha256('x')`, checkpoint)).toMatchObject({
      sound: false,
      because: expect.stringContaining('another root') as string,
    });
    expect(await tamper(`update log_checkpoint set note = replace(note, 'A', 'B')`, checkpoint)).toMatchObject({
      sound: false,
      because: expect.stringContaining('no key of the log') as string,
    });
    // An entry that was changed with its hash, so that it agrees with itself.
    const rewritten = `update audit_entry set salt = decode('00112233445566778899aabbccddeeff', 'hex'),
      leaf_hash = sha256('\\x00'::bytea || sha256(decode('00112233445566778899aabbccddeeff', 'hex') || convert_to(content, 'UTF8'))) where log_index = 7`;
    const restored =
      'update audit_entry e set salt = k.salt, leaf_hash = k.leaf_hash from kept_entry k where e.log_index = k.log_index and e.log_index = 7';
    expect(await tamper(rewritten, restored)).toMatchObject({
      sound: false,
      index: 7,
      because: 'its tile holds another entry',
    });
  });
});

/** Other databases of the server have integrators too. */
const HOLDERS = `select pid from pg_locks where locktype = 'advisory' and objid = 47111816 and granted
  and database = (select oid from pg_database where datname = current_database())`;

describe('several processes', () => {
  /** Processes that do nothing but integrate. */
  const start = () => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'test/support/integrate.ts'], {
      env: {
        ...process.env,
        URL_OF_LEDGER: roleUrl(api.database.databaseUrl, api.database.masterKey, 'concordat_ledger'),
        KEY: api.database.masterKey.toString('hex'),
        HOME_OF_LOG: api.app.config.home,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return { child, ended: once(child, 'exit') };
  };
  const holder = async () => {
    const rows = await asOwner<{ pid: number }>(HOLDERS);
    return rows[0]?.pid ?? null;
  };

  it('have one integrator, and another takes over from one that was killed', { timeout: 120_000 }, async () => {
    // This process gives way first.
    await api.app.integrator.close();
    const processes = [start(), start()];
    try {
      for (let round = 0; round < 2; round++) {
        await expect.poll(holder, { timeout: 60_000 }).not.toBeNull();
        await grow(40);
        const before = await integrated();
        const mine = await holder();
        expect(await asOwner(HOLDERS)).toHaveLength(1);
        // Whichever of them holds it: both are killed in turn, in the midst of work.
        void grow(200).catch(() => undefined);
        const victim = processes.shift()!;
        victim.child.kill('SIGKILL');
        await victim.ended;
        processes.push(start());
        await grow(10);
        const after = await integrated();
        expect(after.treeSize).toBeGreaterThan(before.treeSize + 10);
        expect(after.origin).toBe(before.origin);
        const { logConsistencyProof: proof } = await api.client.query<{
          logConsistencyProof: { fromRootHash: string };
        }>(`{ logConsistencyProof(from: ${before.treeSize}) { fromRootHash } }`);
        expect(proof.fromRootHash).toBe(before.rootHash);
        expect(mine).not.toBeNull();
      }
    } finally {
      for (const { child } of processes) child.kill('SIGKILL');
      await Promise.all(processes.map(({ ended }) => ended));
      api.app.integrator.start();
    }
    await integrated();
    expect(
      await verifyAuditLog(roleUrl(api.database.databaseUrl, api.database.masterKey, 'concordat_ledger')),
    ).toMatchObject({ sound: true });
  });
});

describe('witnesses', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const name = 'witness.example/w1';
  const cosign = ({ text }: { text: string }, seconds: number, key = privateKey) => {
    const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), key);
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(seconds));
    return signatureLine(name, keyId(name, COSIGNATURE_V1, raw), Buffer.concat([time, signature]));
  };
  const now = () => Math.floor(Date.now() / 1000);

  it('co-sign, and are shown with the checkpoint', async () => {
    const witness = { verifierKey: verifierKey(name, COSIGNATURE_V1, raw) };
    expect((await get('checkpoint/witnessed')).status).toBe(404);
    await tenant.owner.mutate('registerWitness', witness, 'witness { name verifierKey }');
    expect(await tenant.owner.refusal('registerWitness', witness)).toBe('CONFLICT');
    const { key } = await tenant.application(['LOG_WITNESS']);
    const seen = await integrated();
    const input = { treeSize: seen.treeSize, cosignature: cosign(seen, now()) };
    expect(await other.owner.refusal('witnessCheckpoint', input)).toBe('NOT_FOUND');
    const { note } = await tenant.owner.as(key).mutate<{ note: string }>('witnessCheckpoint', input, 'note');
    expect(note).toBe(await (await get('checkpoint')).text());
    expect(note.trimEnd().split('\n').at(-1)).toBe(input.cosignature.trimEnd());
    expect(await (await get('witnesses')).json()).toEqual([
      { name, ...witness, treeSize: seen.treeSize, signedAt: expect.any(String) as string },
    ]);
    // The log goes on; what was witnessed stays to be seen.
    await grow(3);
    await integrated();
    expect(await (await get('checkpoint/witnessed')).text()).toBe(note);
    expect((await checkpoint()).signatures).toHaveLength(1);
    const shown = JSON.stringify(
      await Promise.all(['witnesses', 'keys', 'checkpoint/witnessed'].map(async (p) => (await get(p)).text())),
    );
    expect(shown).not.toMatch(/ten_|wit_/);
    const { logWitnesses } = await tenant.owner.query<{ logWitnesses: unknown[] }>(
      '{ logWitnesses { name verifierKey } }',
    );
    expect(logWitnesses).toEqual([{ name, ...witness }]);
    expect(await other.owner.query('{ logWitnesses { name } }')).toEqual({ logWitnesses: [] });
  });

  it('are refused what they did not sign, or not of this log', async () => {
    const seen = await integrated();
    const refusal = (cosignature: string, treeSize = seen.treeSize) =>
      tenant.owner.refusal('witnessCheckpoint', { treeSize, cosignature });
    expect(await refusal(cosign(seen, now()), seen.treeSize - 1)).toBe('INVALID_INPUT');
    expect(
      await refusal(cosign({ text: seen.text.replace(seen.rootHash, Buffer.alloc(32).toString('base64')) }, now())),
    ).toBe('INVALID_INPUT');
    expect(await refusal(cosign(seen, now(), generateKeyPairSync('ed25519').privateKey))).toBe('INVALID_INPUT');
    expect(await refusal(cosign(seen, now() + 3600))).toBe('INVALID_INPUT');
    expect(await refusal('— x y')).toBe('INVALID_INPUT');
    expect(await refusal(cosign(seen, now()).replace(name, 'another.example'))).toBe('NOT_FOUND');
    for (const key of [
      'x',
      `${name}+00000000+${Buffer.concat([Buffer.of(4), raw]).toString('base64')}`,
      verifierKey(name, 1, raw),
    ])
      expect(await tenant.owner.refusal('registerWitness', { verifierKey: key }), key).toBe('INVALID_INPUT');
    const viewer = await tenant.member('VIEWER');
    expect(await viewer.refusal('registerWitness', { verifierKey: 'x' })).toBe('FORBIDDEN');
    await tenant.owner.mutate('removeWitness', { name }, 'witness { name }');
    expect(await refusal(cosign(seen, now()))).toBe('NOT_FOUND');
    expect(await tenant.owner.refusal('removeWitness', { name })).toBe('NOT_FOUND');
  });
});
