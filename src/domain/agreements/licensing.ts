import { inNameOf, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { DatasetService } from '../datasets/dataset.service.js';
import type { SplitService } from '../datasets/split.service.js';
import type { AgreementRow } from './agreement.entity.js';
import {
  type LicenceBreak,
  licenceBreak,
  licenceBroken,
  licenceBrokenElsewhere,
  type LimitedTerms,
} from './licence.js';
import { findLicence, listLicensedData } from './licence.repo.js';
import { type AgreedTerms, disclosureMisfit, invalidTerm, type TrainingTerm } from './terms.js';

/** What agreements need to know of endpoints, which come later in the order of domains. */
export interface OfferedEndpoints {
  /** An endpoint of the transaction's tenant, locked against deletion and routing until the commit; null if there is none. */
  findOffered(tx: Tx, endpointId: string): Promise<OfferedEndpoint | null>;
}
export interface OfferedEndpoint {
  readonly name: string;
  readonly modelVersionId: string;
  readonly signature: {
    readonly task: 'binary' | 'multiclass' | 'regression';
    readonly classes: readonly string[] | null;
    readonly inputs: readonly { readonly name: string; readonly kind: string }[];
  };
}

/** What is agreed about, and whose it is. */
export type Subject = Pick<AgreementRow, 'providerTenantId' | 'endpointId' | 'datasetVersionId'>;

export interface LicensingParts {
  readonly endpoints: OfferedEndpoints;
  readonly datasets: Pick<DatasetService, 'getReadyVersion'>;
  readonly splits: Pick<SplitService, 'getReady'>;
}

/** Holds terms against what they are about: what it can answer or hold, and what the data behind it allow. */
export class Licensing {
  constructor(private readonly parts: LicensingParts) {}

  /**
   * Before terms are proposed or signed. NOT_FOUND without what they are about, INVALID_INPUT for what it could not fulfil, LICENCE_BROKEN for
   * what its data forbid: with the whole way to the provider. Holds an endpoint until the commit, so that it is not routed elsewhere meanwhile.
   */
  async refuseUnfit(tx: Tx, subject: Subject, terms: AgreedTerms, field = 'input.terms'): Promise<void> {
    const own = tx.tenantId === subject.providerTenantId;
    await inNameOf(tx, subject.providerTenantId, async (provider) => {
      if (subject.endpointId === null) await this.refuseUntrainable(provider, { ...subject, own }, terms.training!);
      else {
        const { signature } = await this.hold(provider, subject.endpointId);
        const misfit = disclosureMisfit(terms.disclosure!, signature.task);
        if (misfit) throw invalidTerm('disclosure', misfit);
      }
      const broken = await this.breakOf(provider, subject, terms);
      if (broken) throw (own ? licenceBroken : licenceBrokenElsewhere)(broken, field);
    });
  }

  /** Whether terms break a limit of the data as they are declared now; null if not. Holds the endpoint like `refuseUnfit`. */
  breakOf(tx: Tx, subject: Subject, terms: LimitedTerms): Promise<LicenceBreak | null> {
    return inNameOf(tx, subject.providerTenantId, async (provider) => {
      const { endpointId } = subject;
      if (endpointId === null) return breakOfData(provider, subject.datasetVersionId!, terms);
      const { modelVersionId } = await this.hold(provider, endpointId);
      return breakOf(provider, { endpointId, modelVersionId }, terms);
    });
  }

  /** NOT_FOUND without what is agreed about. */
  async require(tx: Tx, { endpointId, datasetVersionId }: Omit<Subject, 'providerTenantId'>): Promise<void> {
    if (endpointId === null) await this.parts.datasets.getReadyVersion(tx, datasetVersionId!);
    else await this.hold(tx, endpointId);
  }

  /** An endpoint of the transaction's tenant, held until the commit. NOT_FOUND. */
  async hold(tx: Tx, endpointId: string): Promise<OfferedEndpoint> {
    const found = kindOf(endpointId) === 'endpoint' ? await this.parts.endpoints.findOffered(tx, endpointId) : null;
    if (!found) throw notFound('endpoint');
    return found;
  }

  /** `own`: the provider proposes. The consumer is not told which columns there are: it could ask for one name after the other. */
  private async refuseUntrainable(
    tx: Tx,
    { datasetVersionId, own }: Subject & { own: boolean },
    { splitId, columns }: TrainingTerm,
  ): Promise<void> {
    const version = await this.parts.datasets.getReadyVersion(tx, datasetVersionId!);
    await this.parts.splits.getReady(tx, { splitId, datasetVersionId: version.id });
    if (!own) return;
    const unknown = columns?.find((name) => !version.columns!.some((column) => column.name === name));
    if (unknown !== undefined) throw invalidTerm('training.columns', 'The dataset version has no such column.');
  }
}

/** Of an endpoint of the transaction's tenant that answers, or would, by this version. */
export async function breakOf(
  tx: Tx,
  { endpointId, modelVersionId }: { endpointId: string; modelVersionId: string },
  terms: LimitedTerms,
): Promise<LicenceBreak | null> {
  const broken = licenceBreak(terms, await listLicensedData(tx, modelVersionId));
  return broken && { ...broken, path: [...broken.path, { kind: 'ENDPOINT', id: endpointId }] };
}

/** Of a dataset version of the transaction's tenant: who may train on it may do no more than what is trained on it may be used for. */
export async function breakOfData(tx: Tx, datasetVersionId: string, terms: LimitedTerms): Promise<LicenceBreak | null> {
  const licence = await findLicence(tx, datasetVersionId);
  const ids = [...new Set([licence?.datasetVersionId ?? datasetVersionId, datasetVersionId])];
  return licence && licenceBreak(terms, [{ ...licence, path: ids.map((id) => ({ kind: 'DATASET_VERSION', id })) }]);
}

/**
 * Before an endpoint of the transaction's tenant, which it has locked, answers by another version: LICENCE_BROKEN if the data of that
 * version forbid what is offered or agreed on the endpoint, or proposed.
 */
export async function refuseRoute(
  tx: Tx,
  route: { endpointId: string; modelVersionId: string },
  standing: readonly LimitedTerms[],
): Promise<void> {
  for (const terms of standing) {
    const broken = await breakOf(tx, route, terms);
    if (broken) throw licenceBroken(broken, 'input.modelVersionId');
  }
}
