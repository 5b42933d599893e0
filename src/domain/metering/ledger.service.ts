import type { Pool } from 'pg';
import { AppError, type ErrorCode } from '../../platform/errors.js';
import type { Logger } from '../../platform/log.js';
import type { Scope } from '../../platform/scope.js';
import { flush, type Posted, type Posting } from './ledger.repo.js';
import { takeSalt } from './salt.js';

export interface Commitments {
  readonly disclosure: string;
  /** Salted digests, hexadecimal. */
  readonly inputDigest: string;
  readonly outputDigest: string;
}

/** A request that was decided and, unless refused, inferred, but not yet answered. */
export interface Entry {
  readonly predictionId: string;
  readonly providerTenantId: string;
  readonly endpointId: string;
  /** Null: the tenant's own endpoint. */
  readonly agreementId: string | null;
  readonly modelVersionId: string | null;
  readonly purpose: string | null;
  readonly rowCount: number;
  /** Why the decision point refuses; null: the ledger decides. */
  readonly refusal: ErrorCode | null;
  /** What an answer commits to; null for a refusal. Recorded only if the answer goes out. */
  readonly commitments: Commitments | null;
}

/** A flush is at most so long: a longer one delays its first request more than it saves. */
const MOST_PER_FLUSH = 256;
/** Beyond this the database does not keep up; whoever comes now is told so instead of waiting for ever. */
const MOST_WAITING = 20_000;

interface Waiting {
  readonly posting: Posting;
  readonly resolve: (posted: Posted) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Reserve and settle in one group commit: requests that arrive while a commit is under way share the next one. Self-clocked: an idle
 * ledger flushes at the end of the turn, a busy one when the commit returns; no timer. One writer per process and one flush in
 * flight, so that requests are admitted in the order in which they came.
 *
 * An answer may leave only after `record` has resolved without a refusal. If the commit's outcome is unknown it rejects with
 * UNAVAILABLE: then a request may be recorded and charged that was never answered, never the reverse.
 */
export class LedgerService {
  private waiting: Waiting[] = [];
  private flushing: Promise<void> | null = null;
  private closed = false;

  constructor(
    private readonly pool: Pool,
    private readonly log: Logger,
  ) {}

  /** Resolves when the entry is durable, with the verdict under the ledger's locks. */
  record(scope: Scope, entry: Entry): Promise<Posted> {
    if (this.closed || this.waiting.length >= MOST_WAITING)
      return Promise.reject(
        new AppError('UNAVAILABLE', 'The ledger takes no more requests now.', { retryAfterMs: 1000 }),
      );
    const posting = postingOf(scope, entry);
    return new Promise((resolve, reject) => {
      this.waiting.push({ posting, resolve, reject });
      this.flushing ??= new Promise((done) => setImmediate(() => void this.run().finally(done)));
    });
  }

  /** Waits for what is under way; refuses everything after. */
  async close(): Promise<void> {
    this.closed = true;
    await this.flushing;
  }

  private async run(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, MOST_PER_FLUSH);
      await this.flush(batch);
    }
    this.flushing = null;
  }

  private async flush(batch: readonly Waiting[]): Promise<void> {
    try {
      const posted = await flush(
        this.pool,
        batch.map(({ posting }) => posting),
      );
      if (posted.length !== batch.length) throw new Error(`The ledger answered ${posted.length} of ${batch.length}.`);
      batch.forEach(({ resolve }, i) => resolve(posted[i]!));
    } catch (cause) {
      this.log.error({ reason: (cause as Error).message, requests: batch.length }, 'the ledger could not record');
      const error = new AppError('UNAVAILABLE', 'The request could not be recorded, so it is not answered.', {
        retryAfterMs: 1000,
        cause,
      });
      for (const { reject } of batch) reject(error);
    }
  }
}

/**
 * The two leaves that the request may become, as canonical JSON in the form of `audit/leaf.ts`; the ledger writes one of them, with
 * the time and the code that it decides on. Canonical because every object is written with its names in order, and JSON.stringify
 * does the rest as RFC 8785 does: ten times faster than sorting.
 */
function postingOf(scope: Scope, entry: Entry): Posting {
  const { predictionId, agreementId, endpointId, modelVersionId, purpose, rowCount, refusal, commitments } = entry;
  const counterpartyTenantId = entry.providerTenantId === scope.tenantId ? null : entry.providerTenantId;
  const { id, keyId, kind: actorKind } = scope.actor;
  const actor = keyId === undefined ? { id, kind: actorKind } : { id, keyId, kind: actorKind };
  const leaf = (kind: string, detail: Record<string, unknown>) =>
    JSON.stringify({
      actor,
      at: null,
      counterpartyTenantId,
      detail,
      kind,
      subjectId: predictionId,
      tenantId: scope.tenantId,
    });
  const { disclosure, inputDigest, outputDigest } = commitments ?? {};
  return {
    predictionId,
    tenantId: scope.tenantId,
    counterpartyTenantId,
    agreementId,
    endpointId,
    modelVersionId,
    keyId: keyId ?? null,
    rowCount,
    // Without commitments there is no answer to admit.
    refusal: refusal ?? (commitments ? null : 'INTERNAL'),
    answered: leaf('prediction.answered', {
      agreementId,
      disclosure,
      endpointId,
      inputDigest,
      modelVersionId,
      outputDigest,
      purpose,
      rowCount,
    }),
    refused: leaf('prediction.refused', { agreementId, code: null, endpointId, modelVersionId, purpose, rowCount }),
    salt: takeSalt(),
  };
}

export type { Posted } from './ledger.repo.js';
export { takeSalt } from './salt.js';
