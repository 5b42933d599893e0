import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit } from './audit.service.js';
import { signedNote } from './integrator.js';
import type { LogKeys } from './log-key.service.js';
import {
  type Checkpoint,
  COSIGNATURE_V1,
  cosignatureText,
  ED25519,
  KEY_NAME,
  keyId,
  isSignedBy,
  readSignatureLine,
  verifierKey,
} from './note.js';
import { ENTRIES, findCheckpoint, findTile, type Run, tileReader } from './tree.repo.js';
import { HASH_BYTES, leafOf, leavesOf, TILE_WIDTH, Tree } from './tree.js';
import {
  insertCosignature,
  insertWitness,
  listCosignatures,
  listLastCosignatures,
  listWitnesses,
  markWitnessRemoved,
  type WitnessRow,
} from './witness.repo.js';

export interface LogCheckpoint extends Checkpoint {
  readonly signedAt: Date;
  /** The signed note, with the signatures of witnesses that there are for this size. */
  readonly note: string;
}

export interface InclusionProof {
  readonly index: number;
  readonly treeSize: number;
  /** 32 bytes: the public entry. */
  readonly entry: Buffer;
  readonly leafHash: Buffer;
  readonly rootHash: Buffer;
  /** Lowest first. */
  readonly path: readonly Buffer[];
}

export interface ConsistencyProof {
  readonly from: number;
  readonly to: number;
  readonly fromRootHash: Buffer;
  readonly toRootHash: Buffer;
  readonly path: readonly Buffer[];
}

export interface Witness {
  readonly name: string;
  readonly verifierKey: string;
  readonly createdAt: Date;
}

/** Full tiles never change; so many stay in memory, 8 KB each. */
const TILES_KEPT = 512;
/** A witness's clock may be so far ahead of ours. */
const SKEW_MS = 300_000;

/** The reading side of the transparency log, for everybody, and its witnesses. Nothing of a tenant is in what it tells. */
export class LogService {
  private readonly full = new Map<string, Buffer>();
  private readonly run: Run;

  constructor(private readonly parts: { readonly db: Pick<Db, 'app'>; readonly clock: Clock; readonly keys: LogKeys }) {
    this.run = <T extends object>(text: string, values?: unknown[]) => parts.db.app.query<T[]>(text, values);
  }

  /** The last one. Throws UNAVAILABLE in the moments before the first. */
  async checkpoint(): Promise<LogCheckpoint> {
    const found = await findCheckpoint(this.run);
    if (!found) throw new AppError('UNAVAILABLE', 'The log has no checkpoint yet.', { retryAfterMs: 1000 });
    return { ...found, note: found.note + (await this.cosignatures(found.origin, found.treeSize)) };
  }

  /** The largest one that a witness co-signed under the present name, or null. */
  async witnessedCheckpoint(): Promise<string | null> {
    const { origin } = this.parts.keys;
    const sizes = (await listLastCosignatures(this.run, origin)).map(({ treeSize }) => treeSize);
    if (sizes.length === 0) return null;
    const treeSize = Math.max(...sizes);
    const rootHash = await this.tree().root(treeSize);
    return signedNote({ origin, treeSize, rootHash }, this.parts.keys) + (await this.cosignatures(origin, treeSize));
  }

  /** The hashes of a tile (C2SP tlog-tiles), or its first `width`; NOT_FOUND where there are fewer. Level -1: the public entries. */
  async tile(level: number, index: number, width: number = TILE_WIDTH): Promise<Buffer> {
    const data = await this.stored(level === 0 ? ENTRIES : level, index);
    if (!data || data.length < width * HASH_BYTES) throw notFound('tile');
    const part = data.subarray(0, width * HASH_BYTES);
    return level === 0 ? leavesOf(part) : part;
  }

  async inclusionProof(index: number, size: number | null): Promise<InclusionProof> {
    const treeSize = await this.knownSize(size, 'treeSize');
    if (!(index >= 0 && index < treeSize)) throw new AppError('NOT_FOUND', `The tree has ${treeSize} entries.`);
    const tree = this.tree();
    const tile = await this.tile(ENTRIES, Math.floor(index / TILE_WIDTH), (index % TILE_WIDTH) + 1);
    const entry = tile.subarray(-HASH_BYTES);
    const [path, rootHash] = [await tree.inclusion(index, treeSize), await tree.root(treeSize)];
    return { index, treeSize, entry, leafHash: leafOf(entry), rootHash, path };
  }

  async consistencyProof(from: number, until: number | null): Promise<ConsistencyProof> {
    const to = await this.knownSize(until, 'to');
    if (!(from >= 1 && from <= to))
      throw new AppError('INVALID_INPUT', `from must lie between 1 and ${to}.`, { field: 'from' });
    const tree = this.tree();
    return {
      from,
      to,
      fromRootHash: await tree.root(from),
      toRootHash: await tree.root(to),
      path: await tree.consistency(from, to),
    };
  }

  /** What verifies everything that the log has ever signed. */
  publicKeys(): object {
    const { origins, keys } = this.parts.keys.list();
    return {
      format: 'concordat-log-keys/1',
      origin: this.parts.keys.origin,
      origins: origins.map(({ origin, beganAt, because, entries }) => ({ origin, beganAt, because, entries })),
      keys: keys.map(({ origin, id, publicKey, madeAt, retiredAt, endorsedBy, endorsement }) => ({
        origin,
        id,
        verifierKey: verifierKey(origin, ED25519, publicKey),
        madeAt,
        retiredAt,
        endorsedBy,
        endorsement: endorsement?.toString('base64') ?? null,
      })),
    };
  }

  /** Those who have co-signed under the present name: name, key, and how far they have seen the log. */
  async publicWitnesses(): Promise<object[]> {
    const last = await listLastCosignatures(this.run, this.parts.keys.origin);
    return last.map(({ name, publicKey, treeSize, signedAt }) => ({
      name,
      verifierKey: verifierKey(name, COSIGNATURE_V1, publicKey),
      treeSize,
      signedAt,
    }));
  }

  witnesses(scope: Scope): Promise<Witness[]> {
    return inTenant(this.parts.db, scope, async (tx) => (await listWitnesses(tx)).map(shown));
  }

  /** `key`: a verifier key of kind 4 (`name+id+base64`), as C2SP's signed-note has it. */
  async registerWitness(scope: Scope, key: string): Promise<Witness> {
    const { name, publicKey } = readWitnessKey(key);
    const row: WitnessRow = {
      id: newId('witness'),
      tenantId: scope.tenantId,
      name,
      publicKey,
      createdAt: this.parts.clock.now(),
      removedAt: null,
    };
    await inTenant(this.parts.db, scope, async (tx) => {
      if (!(await insertWitness(tx, row)))
        throw new AppError('CONFLICT', 'The tenant has a witness of this name.', { field: 'input.verifierKey' });
      await appendAudit(tx, scope, { kind: 'witness.registered', subjectId: row.id, detail: { verifierKey: key } });
    });
    return shown(row);
  }

  async removeWitness(scope: Scope, name: string): Promise<Witness> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = (await listWitnesses(tx)).find((one) => one.name === name);
      if (!row) throw notFound('witness');
      await markWitnessRemoved(tx, row.id, this.parts.clock.now());
      await appendAudit(tx, scope, { kind: 'witness.removed', subjectId: row.id });
      return shown(row);
    });
  }

  /**
   * Keeps what a witness of the tenant signed of the checkpoint of this size: a line of a signed note, cosignature/v1. Returns the
   * checkpoint with all signatures that it has.
   */
  async cosign(
    scope: Scope,
    { treeSize: size, cosignature }: { treeSize: number; cosignature: string },
  ): Promise<string> {
    const refuse = (why: string) => new AppError('INVALID_INPUT', why, { field: 'input.cosignature' });
    const line = readSignatureLine(cosignature);
    if (!line || line.signature.length !== 72) throw refuse('This is no line of a cosignature/v1.');
    const treeSize = await this.knownSize(size, 'input.treeSize');
    const { origin } = this.parts.keys;
    const checkpoint = { origin, treeSize, rootHash: await this.tree().root(treeSize) };
    const seconds = Number(line.signature.readBigUInt64BE());
    const now = this.parts.clock.now();
    if (seconds * 1000 > now.getTime() + SKEW_MS) throw refuse('The time of this signature is to come.');
    await inTenant(this.parts.db, scope, async (tx) => {
      const witness = (await listWitnesses(tx)).find(
        ({ name, publicKey }) => name === line.name && keyId(name, COSIGNATURE_V1, publicKey) === line.keyId,
      );
      if (!witness) throw notFound('witness');
      if (!isSignedBy(witness.publicKey, cosignatureText(checkpoint, seconds), line.signature.subarray(8)))
        throw refuse('This is no signature of the witness over this checkpoint of the log.');
      const { id: witnessId, name, publicKey } = witness;
      const signedAt = new Date(seconds * 1000);
      await insertCosignature(tx, { ...checkpoint, witnessId, signedAt, name, publicKey, line: line.text });
    });
    return signedNote(checkpoint, this.parts.keys) + (await this.cosignatures(origin, treeSize));
  }

  private async cosignatures(origin: string, treeSize: number): Promise<string> {
    return (await listCosignatures(this.run, origin, treeSize)).map(({ line }) => line).join('');
  }

  private async knownSize(size: number | null, field: string): Promise<number> {
    const treeSize = (await findCheckpoint(this.run))?.treeSize ?? 0;
    if (size === null) return treeSize;
    if (size > treeSize || size < 1)
      throw new AppError('INVALID_INPUT', `The last checkpoint is of ${treeSize} entries.`, { field });
    return size;
  }

  private tree(): Tree {
    return new Tree(tileReader((level, index) => this.stored(level, index)));
  }

  private async stored(level: number, index: number): Promise<Buffer | null> {
    const name = `${level}/${index}`;
    const kept = this.full.get(name);
    if (kept) return kept;
    const data = await findTile(this.run, level, index);
    if (data?.length === TILE_WIDTH * HASH_BYTES) {
      // The first in is the first out: whoever follows the log asks for each tile once.
      if (this.full.size >= TILES_KEPT) this.full.delete(this.full.keys().next().value!);
      this.full.set(name, data);
    }
    return data;
  }
}

function shown({ name, publicKey, createdAt }: WitnessRow): Witness {
  return { name, verifierKey: verifierKey(name, COSIGNATURE_V1, publicKey), createdAt };
}

function readWitnessKey(key: string): { name: string; publicKey: Buffer } {
  // Base64 may have plus signs, a name may not.
  const [, name = '', id, encoded = ''] = /^([^+]*)\+([^+]*)\+(.*)$/.exec(key.trim()) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  const publicKey = bytes.subarray(1);
  if (
    !KEY_NAME.test(name) ||
    bytes.length !== 33 ||
    bytes[0] !== COSIGNATURE_V1 ||
    bytes.toString('base64') !== encoded ||
    keyId(name, COSIGNATURE_V1, publicKey) !== id
  )
    throw new AppError('INVALID_INPUT', 'This is no verifier key of a witness: name+id+base64 of 0x04 and 32 bytes.', {
      field: 'input.verifierKey',
    });
  return { name, publicKey };
}
