import type { Clock } from '../../platform/clock.js';
import { type Db, inNameOf, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit, type AuditEvent } from '../audit/audit.service.js';
import type { ColumnSchema, DatasetService } from '../datasets/dataset.service.js';
import type {
  DataUseEnd,
  DataUses,
  NewTraining,
  SharedData,
  TrainingRow,
  TrainingService,
  TrainingView,
} from '../training/training.service.js';
import type { AgreementRow } from './agreement.entity.js';
import { findAgreement } from './agreement.repo.js';
import { type DataQuestion, decideDataUse, limitsOf } from './data-use.js';
import * as repo from './data-use.repo.js';
import type { Purpose } from './purpose.js';
import { EXPIRABLE, stateAt } from './step.js';
import { lifetimeOf } from './view.js';

export type { DataUseRow } from './data-use.repo.js';

/** A column as the consumer sees it. */
export type AgreedColumn = Pick<ColumnSchema, 'name' | 'type'>;

export interface DataUseParts {
  readonly db: Pick<Db, 'app'>;
  readonly clock: Clock;
  readonly datasets: Pick<DatasetService, 'getReadyVersion'>;
  /** Of this process. */
  readonly region: string;
}

/** Learning from another tenant's data: decided when it is asked for, when it begins, while it runs, and when it ends. */
export class DataUseService implements DataUses {
  constructor(private readonly parts: DataUseParts) {}

  /** What the worker may read now. The agreement stays as it is until the commit, so that an end of it comes before or after. */
  async hold(tx: Tx, training: TrainingRow): Promise<SharedData> {
    const { use, agreement } = await this.find(tx, training);
    const { datasetVersionId, splitId } = training;
    const { purpose, columns } = use;
    const { region, clock } = this.parts;
    const question = { purpose, columns, datasetVersionId, splitId, region, now: clock.now() };
    const denied = decideDataUse(agreement, question);
    if (denied) throw denied;
    return sharedBy(agreement);
  }

  async end(tx: Tx, training: TrainingRow, { state, code }: DataUseEnd): Promise<AuditEvent> {
    const { use, agreement } = await this.find(tx, training);
    const endedAt = this.parts.clock.now();
    const limits = state === 'SUCCEEDED' ? limitsOf(agreement.terms) : null;
    await repo.markDataUse(tx, training.id, { endedAt, outcome: state, code, limits });
    const isOnTime = onTime({ ...use, endedAt });
    const detail = { ...aboutOf(agreement), outcome: state, code, isOnTime, region: this.parts.region, limits };
    const counterpartyTenantId = agreement.providerTenantId;
    return { kind: 'data-use.ended', subjectId: training.id, detail, counterpartyTenantId, at: endedAt };
  }

  /** While it runs: throws as soon as it would not be allowed to begin any more. */
  async check(scope: Scope, training: TrainingRow): Promise<void> {
    await inTenant(this.parts.db, scope, (tx) => this.hold(tx, training));
  }

  /** Newest first; the same to both parties. */
  list(scope: Scope, agreementId: string, page: PageRequest): Promise<Page<repo.DataUseRow>> {
    return inTenant(this.parts.db, scope, (tx) =>
      readPage(
        page,
        ({ trainingId }) => trainingId,
        (before, limit) => repo.listDataUses(tx, agreementId, { before, limit }),
      ),
    );
  }

  /** Names and types of the columns that may be learned from; null if the data were deleted, and to the consumer of an ended agreement. */
  columns(scope: Scope, agreementId: string): Promise<readonly AgreedColumn[] | null> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const agreement = await findAgreement(tx, agreementId);
      const { datasetVersionId, providerTenantId, terms } = agreement ?? {};
      if (!agreement || !datasetVersionId) return null;
      const stands = EXPIRABLE.includes(stateAt(lifetimeOf(agreement), this.parts.clock.now()));
      if (!stands && tx.tenantId !== providerTenantId) return null;
      const read = (provider: Tx) => this.parts.datasets.getReadyVersion(provider, datasetVersionId);
      const version = await inNameOf(tx, providerTenantId!, read).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'NOT_FOUND') return null;
        throw error;
      });
      const allowed = terms!.training!.columns;
      return (
        version &&
        version.columns!.filter(({ name }) => allowed?.includes(name) ?? true).map(({ name, type }) => ({ name, type }))
      );
    });
  }

  private async find(tx: Tx, { id, agreementId }: TrainingRow) {
    const use = await repo.findDataUse(tx, id);
    const agreement = use && agreementId ? await repo.holdAgreement(tx, agreementId) : null;
    if (!use || !agreement) throw notFound('agreement');
    return { use, agreement };
  }
}

export interface AgreedTraining extends NewTraining {
  readonly agreementId: string;
  readonly purpose: Purpose;
}

/** Trainings that are asked for under agreements. */
export class AgreedTrainingService {
  constructor(
    private readonly parts: {
      readonly db: Pick<Db, 'app'>;
      readonly clock: Clock;
      readonly trainings: TrainingService;
    },
  ) {}

  /**
   * Puts a training on the provider's data in the queue. NOT_FOUND without such an agreement; what the agreement does not allow is refused, and
   * recorded for both parties. Beyond that, as for the tenant's own data.
   */
  async start(scope: Scope, { agreementId, purpose, ...input }: AgreedTraining): Promise<TrainingView> {
    const outcome = await inTenant(this.parts.db, scope, async (tx) => {
      const agreement = kindOf(agreementId) === 'agreement' ? await repo.holdAgreement(tx, agreementId) : null;
      if (!agreement?.datasetVersionId) throw notFound('agreement');
      const now = this.parts.clock.now();
      const applicationId = scope.actor.kind === 'APPLICATION' ? scope.actor.id : null;
      const { datasetVersionId, splitId } = input;
      const columns = input.features ? columnsOf({ ...input, features: input.features }) : null;
      const question = { purpose, datasetVersionId, splitId, columns, applicationId, now };
      const denied = decideDataUse(agreement, question);
      if (!denied) return this.admitted(tx, scope, { agreement, question, input });
      await this.record(tx, scope, agreement, { kind: 'data-use.refused', question, code: denied.code });
      return denied;
    });
    if (outcome instanceof AppError) throw outcome;
    return outcome;
  }

  private async admitted(
    tx: Tx,
    scope: Scope,
    { agreement, question, input }: { agreement: AgreementRow; question: DataQuestion; input: NewTraining },
  ): Promise<TrainingView> {
    const { purpose, now } = question;
    const { id: agreementId, providerTenantId, version, terms } = agreement;
    const trainingId = newId('training');
    const deadline = terms.delivery?.jobDeadlineMinutes ?? null;
    const shared = { ...sharedBy(agreement), trainingId };
    const features = input.features ?? (await this.parts.trainings.featuresOf(tx, input, shared));
    const columns = columnsOf({ ...input, features });
    await repo.insertDataUse(tx, {
      ...{ trainingId, agreementId, providerTenantId, version, purpose, columns, askedAt: now },
      consumerTenantId: scope.tenantId,
      deadlineAt: deadline === null ? null : new Date(now.getTime() + deadline * 60_000),
      ...{ endedAt: null, outcome: null, code: null },
    });
    const training = await this.parts.trainings.startIn(tx, scope, { ...input, features }, { shared });
    await this.record(tx, scope, agreement, {
      kind: 'data-use.admitted',
      question: { ...question, columns },
      trainingId,
    });
    return training;
  }

  private async record(
    tx: Tx,
    scope: Scope,
    agreement: AgreementRow,
    what: Pick<AuditEvent, 'kind'> & { question: DataQuestion; code?: string; trainingId?: string },
  ): Promise<void> {
    const { kind, question, code, trainingId } = what;
    const { purpose, datasetVersionId, splitId, columns, now: at } = question;
    const asked = { purpose, datasetVersionId, splitId, columns };
    await appendAudit(tx, scope, {
      kind,
      subjectId: trainingId ?? agreement.id,
      detail: { ...aboutOf(agreement), ...asked, ...(code === undefined ? {} : { code }) },
      counterpartyTenantId: agreement.providerTenantId,
      at,
    });
  }
}

/** Whether it ended by its deadline; null: nothing was promised, or it has not ended. */
export function onTime({ deadlineAt, endedAt }: Pick<repo.DataUseRow, 'deadlineAt' | 'endedAt'>): boolean | null {
  return deadlineAt && endedAt && endedAt <= deadlineAt;
}

function sharedBy({ id, providerTenantId, terms }: AgreementRow): SharedData {
  return { agreementId: id, providerTenantId, columns: terms.training!.columns };
}

function aboutOf({ id, version, documentDigest }: AgreementRow) {
  return { agreementId: id, agreementVersion: version, documentDigest: documentDigest.toString('hex') };
}

function columnsOf({ target, features, weightColumn }: NewTraining & { features: readonly string[] }): string[] {
  return [...new Set([target, ...features, ...(weightColumn ? [weightColumn] : [])])];
}
