import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import type { Scope } from '../../platform/scope.js';
import type { AgreementService } from '../agreements/agreement.service.js';
import { readStated } from './statement.repo.js';
import { csvOf, documentOf, type StatementFigures, statementOf } from './statement.js';

export interface Statement extends StatementFigures {
  /** The month is over: the figures will not change. */
  readonly isFinal: boolean;
  readonly json: string;
  readonly csv: string;
  readonly digestHex: string;
}

const MONTH = /^[0-9]{4}-(0[1-9]|1[0-2])$/;
/** An entry has the time at which its flush began: the last of a month may become visible so much later. */
const LATEST_COMMIT_MS = 60_000;

export class StatementService {
  constructor(
    private readonly parts: { readonly db: Db; readonly clock: Clock; readonly agreements: AgreementService },
  ) {}

  /**
   * The same bytes for both parties, from the entries that both can read. `month`: YYYY-MM, in UTC. Throws INVALID_INPUT for a month to
   * come, or one in which the agreement did not stand.
   */
  async read(scope: Scope, agreementId: string, month: string): Promise<Statement> {
    const period = monthOf(month);
    const now = this.parts.clock.now();
    if (!period || period.start > now)
      throw invalidMonth(period ? 'The month has not begun.' : 'A month is written YYYY-MM.');
    // In this order: a version is agreed before anything is recorded under it. To strangers nothing is there.
    const stated = await inTenant(this.parts.db, scope, (tx) => readStated(tx, agreementId, period.start, period.end));
    const agreement = await this.parts.agreements.get(scope, agreementId);
    const figures = statementOf(agreement, { month, ...period }, stated);
    if (!figures) throw invalidMonth('The agreement did not stand in that month.');
    const isFinal = now.getTime() >= period.end.getTime() + LATEST_COMMIT_MS;
    return { ...figures, isFinal, ...documentOf(figures), csv: csvOf(figures, stated) };
  }
}

function monthOf(month: string): { start: Date; end: Date } | null {
  if (!MONTH.test(month)) return null;
  const start = new Date(`${month}-01T00:00:00Z`);
  const end = new Date(start);
  end.setUTCMonth(end.getUTCMonth() + 1);
  return { start, end };
}

function invalidMonth(message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: 'month' });
}
