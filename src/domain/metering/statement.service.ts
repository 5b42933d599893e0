import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import type { Scope } from '../../platform/scope.js';
import { type AgreementService, endOf, type SettledMonths, type Statements } from '../agreements/agreement.service.js';
import { readLogIndex, readStated } from './statement.repo.js';
import { csvOf, documentOf, lifeOf, type Month, monthOf, type StatementFigures, statementOf } from './statement.js';

export interface Statement extends StatementFigures {
  /** The month is over, or the agreement settled: the figures will not change. */
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
    const period = MONTH.test(month) ? monthOf(new Date(`${month}-01T00:00:00Z`)) : null;
    const now = this.parts.clock.now();
    if (!period || period.start > now)
      throw invalidMonth(period ? 'The month has not begun.' : 'A month is written YYYY-MM.');
    const count = (lastIndex: number | null) => {
      const counted = { from: period.start, until: period.end, lastIndex };
      return inTenant(this.parts.db, scope, (tx) => readStated(tx, agreementId, counted));
    };
    // In this order: a version is agreed before anything is recorded under it. To strangers nothing is there.
    const all = await count(null);
    const agreement = await this.parts.agreements.get(scope, agreementId);
    const end = agreement.settlement && endOf(agreement.settlement.document);
    const stated = end && end.last !== null ? await count(end.last) : all;
    const figures = statementOf(agreement, { month: period, stated, endedAt: end?.endedAt ?? null });
    if (!figures) throw invalidMonth('The agreement did not stand in that month.');
    const isFinal = (end?.last ?? null) !== null || now.getTime() >= period.end.getTime() + LATEST_COMMIT_MS;
    return { ...figures, isFinal, ...documentOf(figures), csv: csvOf(figures, stated) };
  }
}

/** What agreements settle by: the statements of all their months, with the figures and the bytes that both parties read. */
export const settledStatements: Statements = {
  readMonths: async (tx, agreement, endedAt) => {
    const logIndex = await readLogIndex(tx, agreement.id);
    const life = lifeOf(agreement, endedAt);
    const months: SettledMonths['months'][number][] = [];
    for (let month = life && monthOf(life.from); month && month.start < endedAt; month = monthOf(month.end)) {
      const counted = { from: month.start, until: month.end, lastIndex: logIndex?.last ?? -1 };
      const stated = await readStated(tx, agreement.id, counted);
      const figures = statementOf(agreement, { month, stated, endedAt })!;
      months.push(settledMonth(month, figures));
    }
    return { months, logIndex };
  },
};

function settledMonth({ month }: Month, figures: StatementFigures): SettledMonths['months'][number] {
  const { rows, amounts, versions } = figures;
  const lines = versions.map(({ version, rows, minorUnits, creditMinorUnits }) => {
    return { version, rows, minorUnits, creditMinorUnits };
  });
  return { month, digestHex: documentOf(figures).digestHex, rows, versions: lines, amounts };
}

function invalidMonth(message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: 'month' });
}
