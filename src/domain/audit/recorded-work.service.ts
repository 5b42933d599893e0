import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { cancelJob, findJobs, getJob, type Job, retryJob } from '../../platform/jobs.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit, type AuditEvent, type AuditKind } from './audit.service.js';

/** What is worked on by a job, with the state of that job. */
export type WithJob<Row> = Row & { readonly job: Job };

/** How work ended without success. */
export interface WorkEnd {
  readonly state: 'FAILED' | 'CANCELLED';
  readonly code: string | null;
}

interface Subject {
  readonly id: string;
  readonly jobId: string;
}

/** The kinds of work whose whole course the log knows. */
type WorkKind = AuditKind extends infer K ? (K extends `${infer Kind}.retried` ? Kind : never) : never;

interface Rows<Row, Filter> {
  find(tx: Tx, id: string): Promise<Row | null>;
  /** Throws NOT_FOUND. */
  get(tx: Tx, id: string): Promise<Row>;
  /** Newest first. */
  list(tx: Tx, filter: Filter, page: { readonly before: string | null; readonly limit: number }): Promise<Row[]>;
}

/**
 * Work that is asked for by inserting a row and its job, and done by a worker: looking at it, cancelling and retrying it are the same
 * for every kind, and each step is recorded with the work's kind before the dot.
 */
export class RecordedWork<Row extends Subject, Filter> {
  constructor(
    private readonly work: {
      readonly kind: WorkKind;
      readonly db: Pick<Db, 'app'>;
      readonly clock: Clock;
      readonly rows: Rows<Row, Filter>;
    },
  ) {}

  find(scope: Scope, id: string): Promise<WithJob<Row> | null> {
    return inTenant(this.work.db, scope, async (tx) => {
      const row = await this.work.rows.find(tx, id);
      return row && { ...row, job: await getJob(tx, scope, row.jobId) };
    });
  }

  /** Newest first. */
  list(scope: Scope, filter: Filter, request: PageRequest): Promise<Page<WithJob<Row>>> {
    return inTenant(this.work.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        async (before, limit) => {
          const rows = await this.work.rows.list(tx, filter, { before, limit });
          const jobIds = rows.map((row) => row.jobId);
          const jobs = await findJobs(tx, scope, jobIds);
          return rows.map((row, i) => ({ ...row, job: jobs[i]! }));
        },
      ),
    );
  }

  /** Ends it within a second. CONFLICT if it is over. */
  cancel(scope: Scope, id: string): Promise<WithJob<Row>> {
    return inTenant(this.work.db, scope, async (tx) => {
      const row = await this.work.rows.get(tx, id);
      const job = await cancelJob(tx, scope, row.jobId);
      // A running one is recorded by its worker, when it is really over.
      if (job.state === 'CANCELLED') await this.recordEnd(tx, scope, id, { state: 'CANCELLED', code: null });
      return { ...row, job };
    });
  }

  /** Puts failed or cancelled work back in the queue, as it was asked for. CONFLICT for any other. */
  retry(scope: Scope, id: string): Promise<WithJob<Row>> {
    return inTenant(this.work.db, scope, async (tx) => {
      const row = await this.work.rows.get(tx, id);
      const job = await retryJob(tx, scope, row.jobId);
      await this.record(tx, scope, { kind: this.kindOf('retried'), subjectId: id });
      return { ...row, job };
    });
  }

  /** Joins the transaction that ends the job without success. */
  async recordEnd(tx: Tx, scope: Scope, id: string, { state, code }: WorkEnd): Promise<void> {
    const also = await this.ended(tx, await this.work.rows.get(tx, id), { state, code });
    const detail = { code };
    if (code === 'PARITY_FAILED') await this.record(tx, scope, { kind: 'version.refused', subjectId: id, detail });
    if (state === 'CANCELLED') await this.record(tx, scope, { kind: this.kindOf('cancelled'), subjectId: id });
    else await this.record(tx, scope, { kind: this.kindOf('failed'), subjectId: id, detail });
    if (also) await this.record(tx, scope, also);
  }

  /** What else is stored when work ends without success; returns what else is to be recorded, after all that is stored. */
  protected ended(_tx: Tx, _row: Row, _end: WorkEnd): Promise<Omit<AuditEvent, 'at'> | null> {
    return Promise.resolve(null);
  }

  /** Appends to the log, now. Call it last in the transaction. */
  protected async record(tx: Tx, scope: Scope, event: Omit<AuditEvent, 'at'>): Promise<void> {
    await appendAudit(tx, scope, { ...event, at: this.work.clock.now() });
  }

  private kindOf<What extends 'cancelled' | 'retried' | 'failed'>(what: What): `${WorkKind}.${What}` {
    return `${this.work.kind}.${what}`;
  }
}
