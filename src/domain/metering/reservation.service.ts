import { hash } from 'node:crypto';
import type { Pool } from 'pg';
import type { Tx } from '../../platform/db.js';
import { AppError, type ErrorCode } from '../../platform/errors.js';
import type { Scope } from '../../platform/scope.js';
import { contentOf, contentTextOf, leafHash, NO_SALT, OUTCOMES, outcomeName } from '../audit/audit.service.js';
import { batchText } from '../audit/log-key.service.js';
import { BatchTree, type Signer } from './batch.js';
import { Contexts, type Facts, readContext } from './context.js';
import { extendLedger, internContexts } from './ledger.repo.js';
import { type Receipt, receiptOf } from './receipt.js';
import { type AnsweredChunk, type Claim, listRecorded, reserveRows, settleRows } from './reservation.repo.js';
import type { Salts } from './salt.js';

export type { Claim } from './reservation.repo.js';

/** The ledger's refusal. */
export interface Refused {
  readonly refusal: ErrorCode;
  /** The state of an agreement out of force; what a limit has left. */
  readonly detail: string | null;
  readonly at: Date;
}

/**
 * The ledger for work that takes longer than a request: all its rows are held before, each chunk of them is settled when it is answered,
 * and what is left is let go by the end of the job, in the database, whoever ends it. What is held counts as used for everybody
 * else, so that no limit is ever passed. Every chunk is an entry of its own.
 */
export class ReservationService {
  private readonly contexts = new Contexts();

  constructor(
    private readonly parts: {
      /** Of the ledger's role. */
      readonly pool: Pool;
      readonly signer: Pick<Signer, 'origin' | 'current'>;
      readonly salts: Salts;
    },
  ) {}

  /** Joins the transaction that asks for the job, which must fail if this is refused. After this, only the log may be locked. */
  async reserve(tx: Tx, claim: Claim): Promise<Refused | null> {
    const { verdict, reason, atMs } = await reserveRows(tx, claim);
    return verdict === OUTCOMES.ANSWERED ? null : refused(verdict, reason, atMs);
  }

  /** Once for a run: room in the ledger. */
  async prepare(): Promise<void> {
    await extendLedger(this.parts.pool);
  }

  /**
   * The number under which the ledger knows who asks what under which terms. Not in a transaction of the caller's: the number stays,
   * whatever becomes of that.
   */
  async contextOf(scope: Pick<Scope, 'tenantId' | 'actor'>, facts: Facts): Promise<number> {
    const context = this.contexts.of(scope, facts);
    if (context.id === null) {
      const client = await this.parts.pool.connect();
      // The statement that fails reports it.
      const ignore = () => undefined;
      client.on('error', ignore);
      const failure = await internContexts(client, [context]).then(
        () => null,
        (error: unknown) => error as Error,
      );
      client.off('error', ignore).release(failure !== null);
      if (failure) throw failure;
    }
    return context.id!;
  }

  /** Joins the transaction that stores the answer, which must fail if this is refused: the entry is there if the answer is. */
  async settle(tx: Tx, contextId: number, chunk: AnsweredChunk): Promise<{ readonly logIndex: number } | Refused> {
    const { verdict, reason, atMs, logIndex } = await settleRows(tx, contextId, chunk);
    return verdict === OUTCOMES.ANSWERED ? { logIndex: logIndex! } : refused(verdict, reason, atMs);
  }

  /** What proves the entries of chunks, by index. Each is signed as a batch of one: Ed25519 gives the same bytes every time. */
  async receipts(tx: Tx, logIndices: readonly number[]): Promise<Map<number, Receipt>> {
    const { signer, salts } = this.parts;
    const rows = await listRecorded(tx, logIndices);
    if (rows.length !== logIndices.length) throw new AppError('INTERNAL', 'Entries of the log are missing.');
    const { origin } = signer;
    const key = signer.current();
    return new Map(
      rows.map((row) => {
        const text = contentTextOf(row);
        const tree = new BatchTree([leafHash(NO_SALT, text)]);
        const statement = { firstIndex: row.log_index, size: 1, root: tree.root, at: row.at };
        const signature = key.sign(batchText(origin, statement));
        const context = readContext(row.content);
        const batch = { ...statement, origin, keyId: key.id, signature, tree };
        const salt = salts.of(Buffer.from(row.prediction_id.replaceAll('-', ''), 'hex'));
        return [
          row.log_index,
          receiptOf({ entry: contentOf(row), text, context, batch }, salt.toString('hex')),
        ] as const;
      }),
    );
  }
}

/**
 * The prediction that a chunk of a batch is, always the same, so that a chunk which is computed again has the same salt and the same
 * noise. A UUID of version 7 with the time of the batch, otherwise a hash that no idempotency key can meet.
 */
export function chunkPredictionId(tenantId: string, batchId: string, place: number): Buffer {
  const id = hash('sha256', `concordat batch chunk\n${tenantId}\n${batchId}\n${place}`, 'buffer').subarray(0, 16);
  id.write(batchId.split('_')[1]!.slice(0, 12), 0, 'hex');
  id[6] = (id[6]! & 0x0f) | 0x70;
  id[8] = (id[8]! & 0x3f) | 0x80;
  return id;
}

function refused(verdict: number, detail: string | null, atMs: number): Refused {
  return { refusal: outcomeName(verdict) as ErrorCode, detail, at: new Date(atMs) };
}
