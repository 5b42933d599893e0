import { hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import type { Clock } from '../../platform/clock.js';
import { UnfitDatabaseError } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import type { Listener } from '../../platform/listen.js';
import type { Logger } from '../../platform/log.js';
import { PLATFORM } from '../../platform/scope.js';
import { unwrap, wrap } from '../../platform/sealing.js';
import type { AuditEvent } from './audit.service.js';
import { makeLeaf } from './leaf.js';
import {
  insertKey,
  insertPlatformEntry,
  insertOrigin,
  isOtherMemoryInUse,
  listKeys,
  listOrigins,
  lockLogKeys,
  type LogKeyRow,
  type LogOriginRow,
  type OriginReason,
  serverFingerprint,
  setMemory,
} from './log-key.repo.js';
import { LogMemory, type Remembered } from './log-memory.js';
import { ED25519, keyId, privateKeyOf, publicKeyOf, signWith, verifierKey } from './note.js';
import { countEntries, rootOf, type Run } from './tree.repo.js';
import { EMPTY_ROOT } from './tree.js';

/** The key that signs now. */
export interface LogKey {
  /** 8 hexadecimal digits: that of C2SP's signed notes, for the name of the log. */
  readonly id: string;
  /** Ed25519 (RFC 8032), 32 bytes. */
  readonly publicKey: Buffer;
  /** 64 bytes. */
  sign(bytes: Buffer | string): Buffer;
}

/** The batch of entries that one flush of the ledger recorded. */
export interface Batch {
  readonly firstIndex: number;
  readonly size: number;
  /** Of the RFC 6962 tree over the leaves of its entries. */
  readonly root: Buffer;
  readonly at: Date;
}

export interface BatchSignature {
  readonly origin: string;
  readonly keyId: string;
  readonly signature: Buffer;
}

interface LogKeysParts {
  /** Connections as the ledger's role. */
  readonly pool: Pool;
  readonly masterKey: Buffer;
  readonly home: string;
  readonly publicUrl: string | null;
  readonly port: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Tells of keys that another process made; null where nothing lives long enough to be told. */
  readonly listener: Listener | null;
}

/**
 * The name of the log and the keys that sign in it. A name that has signed an index signs it never again: where the database is behind
 * what is remembered outside of it, or is a copy, the log goes on under a new name. A name lives as long as its database.
 */
export class LogKeys {
  private origins: LogOriginRow[] = [];
  private rows: LogKeyRow[] = [];
  private key: LogKey | null = null;
  /** Below it, this process has signed under the present name. */
  private signedBelow = 0;
  private memoryId = '';
  private stopListening: () => void = () => undefined;
  private readonly memory: LogMemory;

  private constructor(private readonly parts: LogKeysParts) {
    this.memory = new LogMemory(parts.home);
  }

  static async open(parts: LogKeysParts): Promise<LogKeys> {
    const keys = new LogKeys(parts);
    await keys.alone((client) => keys.meet(client));
    await keys.settle();
    keys.memory.tidy(parts.clock.now());
    if (parts.listener)
      keys.stopListening = parts.listener.on('concordat_log', () => {
        keys.load(parts.pool).catch((error: unknown) => parts.log.error({ err: error }, 'the keys of the log'));
      });
    return keys;
  }

  /** The name of the log: host of the public address, slash, a random id. */
  get origin(): string {
    return this.origins.at(-1)!.origin;
  }

  /** Why the name is what it is. */
  get began(): LogOriginRow {
    return this.origins.at(-1)!;
  }

  /** What processes of one database must have in common. */
  get usedMemory(): string {
    return this.memoryId;
  }

  current(): LogKey {
    return this.key!;
  }

  /** Names and keys since the beginning, oldest first; for everybody. */
  list(): { origins: readonly LogOriginRow[]; keys: readonly Omit<LogKeyRow, 'sealedPrivateKey'>[] } {
    return { origins: this.origins, keys: this.rows };
  }

  /**
   * Signs what a receipt rests on, once: throws UNAVAILABLE for indices of which one was signed before under this name, and looks
   * whether the database was put back.
   */
  signBatch(batch: Batch): BatchSignature {
    const { origin, key } = this;
    this.refuseForeign();
    if (batch.firstIndex < this.signedBelow) {
      this.settle().catch((error: unknown) => this.parts.log.error({ err: error }, 'the name of the log'));
      throw new AppError('UNAVAILABLE', 'The log counts an index again that was signed already.', {
        retryAfterMs: 1000,
      });
    }
    this.signedBelow = batch.firstIndex + batch.size;
    this.memory.markSigned(origin, this.signedBelow);
    return { origin, keyId: key!.id, signature: key!.sign(batchText(origin, batch)) };
  }

  /** Called before a checkpoint is shown to anybody. */
  remember(checkpoint: Remembered): void {
    this.refuseForeign();
    this.memory.remember(checkpoint);
  }

  /** A new key under the same name, endorsed by the one before. Returns its id. */
  async rotate(): Promise<string> {
    await this.alone(async (client) => {
      await this.load(client);
      await this.addKey(client, this.origin);
      const { origin, key } = this;
      await this.record(client, { kind: 'log.key-rotated', detail: { origin, keyId: key!.id } });
    });
    return this.current().id;
  }

  /** A new name, because an operator knows of a restored backup that nothing else tells. */
  async beginAnew(): Promise<string> {
    await this.alone(async (client) => {
      await this.load(client);
      await this.begin(client, 'ORDERED');
    });
    return this.origin;
  }

  close(): void {
    this.stopListening();
    this.memory.close();
  }

  /** Finds the name under which this database goes on: the present one, unless there is a reason to begin another. */
  async settle(): Promise<void> {
    await this.alone(async (client) => {
      await this.load(client);
      const reason = await this.reasonToBegin(client);
      if (reason) await this.begin(client, reason);
      else if (this.began.memory === null) {
        await setMemory(client, this.origin, this.memoryId);
        await this.load(client);
      }
    });
    this.signedBelow = Math.max(this.signedBelow, this.memory.signedBelow(this.origin));
  }

  /** Throws UnfitDatabaseError where processes with another memory are at work: neither would know what the other signs. */
  private async meet(client: PoolClient): Promise<void> {
    this.memoryId = this.memory.identify();
    if (await isOtherMemoryInUse(client, this.memoryId))
      throw new UnfitDatabaseError(
        'Another process uses this database with another CONCORDAT_HOME. All of them must share one, because it remembers what the log has signed: set the same CONCORDAT_HOME, or stop the others first.',
      );
  }

  /** The last line of defence: a name is used by those alone who remember what was signed under it. */
  private refuseForeign(): void {
    if (this.began.memory !== this.memoryId)
      throw new AppError('UNAVAILABLE', 'The log is kept by a process with another home.', { retryAfterMs: 1000 });
  }

  private async reasonToBegin(client: PoolClient): Promise<OriginReason | null> {
    const now = this.origins.at(-1);
    if (!now) return 'FIRST';
    if (now.server !== (await serverFingerprint(client))) return 'RESTORED';
    if (now.memory !== null && now.memory !== this.memoryId) return 'NOTHING_REMEMBERED';
    const remembered = this.memory.read();
    if (!remembered) return 'NOTHING_REMEMBERED';
    // An older name is a process that slept while another one began the present name.
    if (remembered.origin !== now.origin)
      return this.origins.some(({ origin }) => origin === remembered.origin) ? null : 'RESTORED';
    // In this order: what is signed while the entries are counted was recorded before.
    const below = Math.max(remembered.treeSize, this.memory.signedBelow(now.origin), this.signedBelow);
    const entries = await countEntries(runOn(client));
    if (below > entries) return 'RESTORED';
    const root = await rootOf(runOn(client), remembered.treeSize);
    return root.toString('hex') === remembered.rootHash ? null : 'RESTORED';
  }

  private async begin(client: PoolClient, because: OriginReason): Promise<void> {
    const { publicUrl, port, clock, log } = this.parts;
    const { host } = new URL(publicUrl ?? `http://localhost:${port}`);
    const origin = `${host}/${randomBytes(8).toString('hex')}`;
    const [entries, server] = [await countEntries(runOn(client)), await serverFingerprint(client)];
    await insertOrigin(client, { origin, beganAt: clock.now(), because, entries, server, memory: this.memoryId });
    await this.addKey(client, origin);
    this.signedBelow = 0;
    this.memory.remember({ origin, treeSize: 0, rootHash: EMPTY_ROOT.toString('hex'), note: null });
    if (because === 'FIRST') return;
    await this.record(client, { kind: 'log.began', detail: { origin, because, entries } });
    log.warn({ origin, because }, 'the log goes on under a new name, with a new key: tell those who verify it');
  }

  /** An entry of the platform's. */
  private async record(client: PoolClient, event: Pick<AuditEvent, 'kind'> & { detail: object }): Promise<void> {
    const at = this.parts.clock.now();
    const leaf = makeLeaf({
      at: at.toISOString(),
      kind: event.kind,
      tenantId: PLATFORM,
      counterpartyTenantId: null,
      actor: { kind: 'SYSTEM', id: 'log' },
      subjectId: null,
      detail: { ...event.detail },
    });
    await insertPlatformEntry(client, { at, kind: event.kind, tenantId: PLATFORM }, leaf);
  }

  private async addKey(client: PoolClient, origin: string): Promise<void> {
    const seed = randomBytes(32);
    const publicKey = publicKeyOf(privateKeyOf(seed));
    const id = keyId(origin, ED25519, publicKey);
    const before = this.key;
    await insertKey(client, {
      origin,
      id,
      publicKey,
      sealedPrivateKey: wrap(seed, sealingKey(this.parts.masterKey), sealLabel(origin, id)),
      madeAt: this.parts.clock.now(),
      endorsedBy: before?.id ?? null,
      endorsement: before?.sign(endorsementText(origin, publicKey)) ?? null,
    });
    await this.load(client);
  }

  private async load(client: Pick<PoolClient, 'query'>): Promise<void> {
    const origins = await listOrigins(client);
    const rows = await listKeys(client);
    const last = rows.find((row) => row.origin === origins.at(-1)?.origin && row.retiredAt === null);
    this.key = last && last.id !== this.key?.id ? openKey(last, this.parts.masterKey) : this.key;
    if (origins.at(-1)?.origin !== this.origins.at(-1)?.origin) this.signedBelow = 0;
    this.origins = origins;
    this.rows = rows;
  }

  /** A transaction in which no other process decides about names and keys. */
  private async alone(work: (client: PoolClient) => Promise<void>): Promise<void> {
    const client = await this.parts.pool.connect();
    try {
      await client.query('begin');
      await lockLogKeys(client);
      await work(client);
      await client.query('commit');
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      throw error;
    } finally {
      client.release();
    }
  }
}

/** Statements on a connection of the driver's. */
export function runOn(client: Pick<PoolClient, 'query'>): Run {
  return async <T extends object>(text: string, values?: unknown[]) => (await client.query<T>(text, values)).rows;
}

/** What a receipt's signature is over. `at` to the millisecond, ISO 8601. */
export function batchText(origin: string, { firstIndex, size, root, at }: Batch): string {
  return `concordat batch\n${origin}\n${firstIndex}\n${size}\n${root.toString('base64')}\n${at.toISOString()}\n`;
}

/** What a key signs of the one that follows it. */
export function endorsementText(origin: string, publicKey: Buffer): string {
  return `concordat key\n${verifierKey(origin, ED25519, publicKey)}\n`;
}

function openKey({ origin, id, publicKey, sealedPrivateKey }: LogKeyRow, masterKey: Buffer): LogKey {
  const seed = unwrap(sealedPrivateKey, sealingKey(masterKey), sealLabel(origin, id));
  const privateKey: KeyObject = privateKeyOf(seed);
  return { id, publicKey, sign: (bytes) => signWith(privateKey, bytes) };
}

function sealingKey(masterKey: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', masterKey, '', 'concordat sealing of the keys of the log', 32));
}

function sealLabel(origin: string, id: string): string {
  return `concordat key of the log\n${origin}\n${id}`;
}
