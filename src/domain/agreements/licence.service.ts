import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import type { DatasetService } from '../datasets/dataset.service.js';
import { listOpenAgreements, listVersions } from './agreement.repo.js';
import { type DataLicence, type LicenceBreak, parseLicence } from './licence.js';
import { findLicence, type LicenceRow, listRoutes, upsertLicence } from './licence.repo.js';
import { breakOf, breakOfData } from './licensing.js';
import { standingTerms } from './view.js';

export type { LicenceRow } from './licence.repo.js';

/** What stands although the data forbid it as their limits are declared now. */
export interface LicenceConflict extends LicenceBreak {
  readonly agreementId: string;
}

/** What may be done with models that were trained on a tenant's data, as the tenant declares it. */
export class LicenceService {
  constructor(
    private readonly parts: {
      readonly db: Pick<Db, 'app'>;
      readonly clock: Clock;
      readonly datasets: Pick<DatasetService, 'findVersion'>;
    },
  ) {}

  /**
   * In place of what was declared before. What is proposed, signed, renewed or routed from now on keeps it; what is in force stays, and is
   * listed by `conflicts`. NOT_FOUND, INVALID_INPUT.
   */
  async declare(scope: Scope, datasetVersionId: string, unchecked: unknown): Promise<LicenceRow> {
    const licence: DataLicence = parseLicence(unchecked);
    if (kindOf(datasetVersionId) !== 'datasetVersion') throw notFound('dataset version');
    return inTenant(this.parts.db, scope, async (tx) => {
      const declaredAt = this.parts.clock.now();
      if (!(await upsertLicence(tx, datasetVersionId, licence, declaredAt))) throw notFound('dataset version');
      const detail = { ...licence };
      await appendAudit(tx, scope, { kind: 'licence.declared', subjectId: datasetVersionId, detail, at: declaredAt });
      return { ...licence, datasetVersionId, declaredAt };
    });
  }

  /** Null if nothing was declared, for it or for an earlier version of its dataset: then nothing is limited. NOT_FOUND. */
  async find(scope: Scope, datasetVersionId: string): Promise<LicenceRow | null> {
    if (!(await this.parts.datasets.findVersion(scope, datasetVersionId))) throw notFound('dataset version');
    return inTenant(this.parts.db, scope, (tx) => findLicence(tx, datasetVersionId));
  }

  /** What the tenant has offered or agreed as provider, and may offer or agree no longer; newest first. */
  conflicts(scope: Scope, page: PageRequest): Promise<Page<LicenceConflict>> {
    return inTenant(this.parts.db, scope, (tx) =>
      readPage(
        page,
        ({ agreementId }) => agreementId,
        async (before, limit) => {
          const found: LicenceConflict[] = [];
          for await (const conflict of this.every(tx, before)) if (found.push(conflict) >= limit) break;
          return found;
        },
      ),
    );
  }

  private async *every(tx: Tx, from: string | null): AsyncGenerator<LicenceConflict> {
    const now = this.parts.clock.now();
    for (let before = from; ;) {
      const rows = await listOpenAgreements(tx, { before, limit: AT_ONCE });
      if (rows.length === 0) return;
      const ids = rows.map(({ id }) => id);
      const versions = await listVersions(tx, ids);
      const routes = await listRoutes(
        tx,
        rows.flatMap(({ endpointId }) => endpointId ?? []),
      );
      for (const row of rows) {
        const { id: agreementId, endpointId, datasetVersionId } = row;
        const route = routes.find(({ id }) => id === endpointId);
        for (const terms of standingTerms(row, versions, now)) {
          const broken = route
            ? await breakOf(tx, { endpointId: route.id, modelVersionId: route.modelVersionId }, terms)
            : await breakOfData(tx, datasetVersionId!, terms);
          if (!broken) continue;
          yield { ...broken, agreementId };
          break;
        }
      }
      before = ids.at(-1)!;
    }
  }
}

const AT_ONCE = 100;
