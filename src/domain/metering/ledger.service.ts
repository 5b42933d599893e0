import type { Pool, PoolClient } from 'pg';
import { AppError, type ErrorCode } from '../../platform/errors.js';
import type { Logger } from '../../platform/log.js';
import type { Scope } from '../../platform/scope.js';
import {
  contentOf,
  contentTextOf,
  entryOf,
  leafHash,
  leafOf,
  NO_SALT,
  outcomeName,
  outcomeNumber,
  OUTCOMES,
  predictionContent,
  type PredictionContent,
  type RecentEntries,
} from '../audit/audit.service.js';
import { batchText } from '../audit/log-key.service.js';
import { BatchTree, type SignedBatch, type Signer } from './batch.js';
import { type Context, Contexts, type Facts, readContext } from './context.js';
import {
  deleteOldProofs,
  extendLedger,
  flush,
  type Flushed,
  insertProof,
  internContexts,
  type Posting,
  readBatch,
} from './ledger.repo.js';
import { newPredictionId, predictionName } from './prediction-id.js';
import type { Recorded } from './receipt.js';

/** A request that was decided and, unless refused, inferred, but not yet answered. */
export interface Entry {
  /** 16 bytes, new; or what the caller's idempotency key names. */
  readonly predictionId: Buffer;
  readonly isRepeatable: boolean;
  /** SHA-256 of the id of a proof of possession, which counts once. */
  readonly proof: Buffer | null;
  /** What is asked under which terms. The same object again saves a look at what is in it. */
  readonly facts: Facts;
  readonly rowCount: number;
  /** When the request came, on the scale of performance.now(). */
  readonly startedAt: number;
  /** Why the decision point refuses; null: the ledger decides. */
  readonly refusal: ErrorCode | null;
  /** What an answer commits to: salted digests of 32 bytes. Null for a refusal; recorded only if the answer goes out. */
  readonly commitments: { readonly inputDigest: Buffer; readonly outputDigest: Buffer } | null;
}

/** What became of it, durably. */
export interface Posted extends Recorded {
  readonly at: Date;
  /** Null: admitted, and charged. */
  readonly refusal: ErrorCode | null;
  /** The state of an agreement out of force; the rows left of a quota. */
  readonly detail: string | null;
  /** The same request was answered before: entry and batch are those of then, and nothing was charged. */
  readonly isRepetition: boolean;
}

export interface LedgerServiceParts {
  /** Of the ledger's role; one connection is kept, others are for what is rare. */
  readonly pool: Pool;
  readonly signer: Signer;
  /** Gets what was recorded. */
  readonly recent: RecentEntries;
  readonly log: Logger;
}

/** A flush is at most so long: a longer one delays its first request more than it saves. */
const MOST_PER_FLUSH = 256;
/** Beyond this the database does not keep up; whoever comes now is told so instead of waiting for ever. */
const MOST_WAITING = 20_000;
/** As `ledger_extend` has it. */
const PARTITION_SIZE = 2 ** 24;
const FORGET_PROOFS_MS = 10 * 60_000;
const LONGEST_US = 2 ** 31 - 1;

/** A request in the queue, and who waits for it. */
class Waiting implements Posting {
  readonly id: Buffer;
  readonly key: Buffer | null;
  readonly proof: Buffer | null;
  readonly rowCount: number;
  readonly code: number;
  readonly inputDigest: Buffer | null;
  readonly outputDigest: Buffer | null;
  durationUs = 0;
  private readonly startedAt: number;

  constructor(
    entry: Entry,
    readonly context: Context,
    readonly resolve: (posted: Posted | Promise<Posted>) => void,
    readonly reject: (error: Error) => void,
  ) {
    const { predictionId, isRepeatable, refusal, commitments } = entry;
    this.id = isRepeatable ? newPredictionId() : predictionId;
    this.key = isRepeatable ? predictionId : null;
    this.proof = entry.proof;
    this.rowCount = entry.rowCount;
    this.startedAt = entry.startedAt;
    // Without commitments there is no answer to admit.
    const decided = commitments ? OUTCOMES.ANSWERED : OUTCOMES.INTERNAL;
    this.code = refusal === null ? decided : outcomeNumber(refusal);
    this.inputDigest = commitments && commitments.inputDigest;
    this.outputDigest = commitments && commitments.outputDigest;
  }

  /** Now it leaves for the database. */
  depart(now: number): void {
    this.durationUs = Math.min(LONGEST_US, Math.max(0, Math.round((now - this.startedAt) * 1000)));
  }
}

/**
 * Reserve and settle in one group commit: requests that arrive while a commit is under way share the next one. Self-clocked: an idle
 * ledger flushes at the end of the turn, a busy one when the commit returns; no timer. One writer per process and one flush in
 * flight, so that requests are admitted in the order in which they came. What a commit leaves to do (hashes, one signature, answers)
 * is done when the next one is on its way.
 *
 * An answer may leave only after `record` has resolved without a refusal. If the commit's outcome is unknown it rejects with
 * UNAVAILABLE: then a request may be recorded and charged that was never answered, never the reverse. An idempotency key mends that.
 */
export class LedgerService {
  private readonly contexts = new Contexts();
  private waiting: Waiting[] = [];
  private flushing: Promise<void> | null = null;
  private client: PoolClient | null = null;
  private closed = false;
  private extendAt = 0;
  private forgetProofsAt = 0;

  constructor(private readonly parts: LedgerServiceParts) {}

  /** Resolves when the entry is durable, with the verdict under the ledger's locks. */
  record(scope: Scope, entry: Entry): Promise<Posted> {
    if (this.closed || this.waiting.length >= MOST_WAITING)
      return Promise.reject(
        new AppError('UNAVAILABLE', 'The ledger takes no more requests now.', { retryAfterMs: 1000 }),
      );
    const context = this.contexts.of(scope, entry.facts);
    return new Promise((resolve, reject) => {
      this.waiting.push(new Waiting(entry, context, resolve, reject));
      this.flushing ??= new Promise((done) => setImmediate(() => void this.run().finally(done)));
    });
  }

  /** Waits for what is under way; refuses everything after. */
  async close(): Promise<void> {
    this.closed = true;
    await this.flushing;
    this.client?.release();
    this.client = null;
  }

  private async run(): Promise<void> {
    let answer: () => void = () => undefined;
    for (let batch = this.take(); batch.length > 0; batch = this.take()) {
      const sent = this.send(batch);
      answer();
      answer = await sent;
    }
    this.flushing = null;
    answer();
  }

  /** In order of arrival. What repeats a key or a proof of the same flush waits for the next, which sees what became of the first. */
  private take(): Waiting[] {
    const batch: Waiting[] = [];
    const held: Waiting[] = [];
    const claimed = new Set<string>();
    let next = 0;
    for (; next < this.waiting.length && batch.length < MOST_PER_FLUSH; next++) {
      const one = this.waiting[next]!;
      if (one.key === null && one.proof === null) {
        batch.push(one);
        continue;
      }
      const claims = [one.key, one.proof].flatMap((claim) => (claim ? [claim.toString('latin1')] : []));
      if (claims.some((claim) => claimed.has(claim))) held.push(one);
      else {
        for (const claim of claims) claimed.add(claim);
        batch.push(one);
      }
    }
    this.waiting = held.concat(this.waiting.slice(next));
    return batch;
  }

  /** Never rejects: resolves with what is left to do. Known contexts and an open connection given, the statement leaves at once. */
  private async send(batch: readonly Waiting[]): Promise<() => void> {
    try {
      const client = this.client ?? (await this.connect());
      const unknown = new Set(batch.map(({ context }) => context).filter(({ id }) => id === null));
      if (unknown.size > 0) await internContexts(client, [...unknown]);
      const now = performance.now();
      for (const one of batch) one.depart(now);
      const flushed = await flush(client, batch);
      this.tend(batch, flushed);
      return () => this.answer(batch, flushed);
    } catch (cause) {
      this.disconnect();
      return () => this.fail(batch, cause as Error);
    }
  }

  private async connect(): Promise<PoolClient> {
    const client = await this.parts.pool.connect();
    // The next query reports it.
    client.on('error', () => undefined);
    this.contexts.forgetNumbers();
    this.client = client;
    return client;
  }

  /** What the connection was doing is unknown: nobody may get it again. */
  private disconnect(): void {
    this.client?.release(true);
    this.client = null;
  }

  private answer(batch: readonly Waiting[], flushed: Flushed): void {
    try {
      const { verdict, reason, replayed } = flushed;
      const recorded = verdict ? batch.filter((_, at) => verdict[at]! >= 0) : batch;
      const codes = verdict ? verdict.filter((code) => code >= 0) : null;
      const reasons = verdict && reason ? reason.filter((_, at) => verdict[at]! >= 0) : null;
      const at = flushed.at.toISOString();
      const entries = recorded.map((one, place) =>
        contentFor(one, codes?.[place] ?? 0, flushed.firstIndex! + place, at),
      );
      const texts = entries.map(predictionContent);
      const signed = texts.length > 0 ? this.sign(texts, flushed) : null;
      for (let place = 0; place < recorded.length; place++) {
        const { context, resolve } = recorded[place]!;
        const code = codes?.[place] ?? OUTCOMES.ANSWERED;
        resolve({
          entry: entries[place]!,
          text: texts[place]!,
          context,
          batch: signed!,
          at: flushed.at,
          refusal: code === OUTCOMES.ANSWERED ? null : (outcomeName(code) as ErrorCode),
          detail: reasons?.[place] ?? null,
          isRepetition: false,
        });
      }
      replayed?.forEach((index, at) => {
        if (index !== null) batch[at]!.resolve(this.recall(index));
      });
    } catch (cause) {
      this.fail(batch, cause as Error);
    }
  }

  private sign(texts: readonly string[], { firstIndex, at }: Flushed): SignedBatch {
    const entries = texts.map((text) => {
      const entry = entryOf(NO_SALT, text);
      return { entry, leaf: leafOf(entry) };
    });
    this.parts.recent.add(firstIndex!, entries);
    const tree = new BatchTree(entries.map(({ leaf }) => leaf));
    const statement = { firstIndex: firstIndex!, size: texts.length, root: tree.root, at };
    return { ...statement, ...this.parts.signer.signBatch(statement), tree };
  }

  /** The entry of a request that was answered before, with the same batch: its root is signed once more, as it was then. */
  private async recall(logIndex: number): Promise<Posted> {
    try {
      const rows = await readBatch(this.parts.pool, logIndex);
      const row = rows.find((one) => one.log_index === logIndex)!;
      const tree = new BatchTree(rows.map((one) => leafHash(NO_SALT, contentTextOf(one))));
      const statement = { firstIndex: rows[0]!.log_index, size: rows.length, root: tree.root, at: row.at };
      const { origin } = this.parts.signer;
      const key = this.parts.signer.current();
      const signature = key.sign(batchText(origin, statement));
      return {
        entry: contentOf(row),
        text: contentTextOf(row),
        context: readContext(row.content),
        batch: { ...statement, origin, keyId: key.id, signature, tree },
        at: row.at,
        refusal: null,
        detail: null,
        isRepetition: true,
      };
    } catch (cause) {
      this.parts.log.error({ reason: (cause as Error).message }, 'the ledger could not read what it recorded');
      throw unavailable(cause);
    }
  }

  private fail(batch: readonly Waiting[], cause: Error): void {
    this.parts.log.error({ reason: cause.message, requests: batch.length }, 'the ledger could not record');
    for (const { reject } of batch) reject(unavailable(cause));
  }

  /** Records that a proof of possession was used, where no entry does. False if it was used before, on whichever replica. */
  async spendProof(proof: Buffer): Promise<boolean> {
    const isFresh = await insertProof(this.parts.pool, proof);
    this.forgetProofs();
    return isFresh;
  }

  /** Room for entries to come, in time. */
  private tend(batch: readonly Waiting[], { firstIndex }: Flushed): void {
    const next = (firstIndex ?? 0) + batch.length;
    if (next >= this.extendAt) {
      this.extendAt = (Math.floor(next / PARTITION_SIZE) + 1) * PARTITION_SIZE;
      this.watch(extendLedger(this.parts.pool), 'the ledger could not be extended');
    }
    if (batch.some(({ proof }) => proof !== null)) this.forgetProofs();
  }

  /** Those that are too old to matter, from time to time. */
  private forgetProofs(): void {
    const now = performance.now();
    if (now < this.forgetProofsAt) return;
    this.forgetProofsAt = now + FORGET_PROOFS_MS;
    this.watch(deleteOldProofs(this.parts.pool), 'old proofs could not be forgotten');
  }

  private watch(work: Promise<void>, what: string): void {
    void work.catch((error: unknown) => this.parts.log.error({ reason: (error as Error).message }, what));
  }
}

/** As the database has recorded it. */
function contentFor(posting: Posting, code: number, index: number, at: string): PredictionContent {
  const isAnswered = code === OUTCOMES.ANSWERED;
  return {
    at,
    code: outcomeName(code),
    contextDigest: posting.context.digestHex,
    durationUs: posting.durationUs,
    index,
    inputDigest: isAnswered ? posting.inputDigest!.toString('hex') : null,
    kind: 'prediction',
    outputDigest: isAnswered ? posting.outputDigest!.toString('hex') : null,
    predictionId: predictionName((isAnswered && posting.key) || posting.id),
    rowCount: posting.rowCount,
  };
}

function unavailable(cause: unknown): AppError {
  return new AppError('UNAVAILABLE', 'The request could not be recorded, so it is not answered.', {
    retryAfterMs: 1000,
    cause,
  });
}

export { newPredictionId, predictionIdOf, predictionName } from './prediction-id.js';
export { escapedReceipt, leafHashOf, type Receipt, receiptOf } from './receipt.js';
export type { Facts } from './context.js';
export { Salts } from './salt.js';
export type { Signer } from './batch.js';
