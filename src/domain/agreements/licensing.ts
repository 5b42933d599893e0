import { inNameOf, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { AgreementRow } from './agreement.entity.js';
import {
  type LicenceBreak,
  licenceBreak,
  licenceBroken,
  licenceBrokenElsewhere,
  type LimitedTerms,
} from './licence.js';
import { listLicensedData } from './licence.repo.js';
import { disclosureMisfit, invalidTerm, type Terms } from './terms.js';

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
export type Subject = Pick<AgreementRow, 'providerTenantId' | 'endpointId'>;

/** Holds terms against what they are about: what its model can answer, and what the data behind it allow. */
export class Licensing {
  constructor(private readonly endpoints: OfferedEndpoints) {}

  /**
   * Before terms are proposed or signed. NOT_FOUND without the endpoint, INVALID_INPUT for what its model could not answer, LICENCE_BROKEN for
   * what its data forbid: with the whole way to the provider. Holds the endpoint until the commit, so that it is not routed elsewhere meanwhile.
   */
  async refuseUnfit(tx: Tx, subject: Subject, terms: Terms, field = 'input.terms'): Promise<void> {
    const own = tx.tenantId === subject.providerTenantId;
    await inNameOf(tx, subject.providerTenantId, async (provider) => {
      const { signature, modelVersionId } = await this.hold(provider, subject.endpointId);
      const misfit = disclosureMisfit(terms.disclosure, signature.task);
      if (misfit) throw invalidTerm('disclosure', misfit);
      const broken = await breakOf(provider, { ...subject, modelVersionId }, terms);
      if (broken) throw (own ? licenceBroken : licenceBrokenElsewhere)(broken, field);
    });
  }

  /** Whether terms break a limit of the data as they are declared now; null if not. Holds the endpoint like `refuseUnfit`. */
  breakOf(tx: Tx, subject: Subject, terms: LimitedTerms): Promise<LicenceBreak | null> {
    return inNameOf(tx, subject.providerTenantId, async (provider) => {
      const { modelVersionId } = await this.hold(provider, subject.endpointId);
      return breakOf(provider, { ...subject, modelVersionId }, terms);
    });
  }

  /** An endpoint of the transaction's tenant, held until the commit. NOT_FOUND. */
  async hold(tx: Tx, endpointId: string): Promise<OfferedEndpoint> {
    const found = kindOf(endpointId) === 'endpoint' ? await this.endpoints.findOffered(tx, endpointId) : null;
    if (!found) throw notFound('endpoint');
    return found;
  }
}

/** The same in a transaction of the provider's, of an endpoint that answers, or would, by this version. */
export async function breakOf(
  tx: Tx,
  { endpointId, modelVersionId }: Subject & { modelVersionId: string },
  terms: LimitedTerms,
): Promise<LicenceBreak | null> {
  const broken = licenceBreak(terms, await listLicensedData(tx, modelVersionId));
  return broken && { ...broken, path: [...broken.path, { kind: 'ENDPOINT', id: endpointId }] };
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
    const broken = await breakOf(tx, { ...route, providerTenantId: tx.tenantId }, terms);
    if (broken) throw licenceBroken(broken, 'input.modelVersionId');
  }
}
