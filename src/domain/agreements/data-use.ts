import { AppError, type ErrorCode } from '../../platform/errors.js';
import type { AgreementRow } from './agreement.entity.js';
import type { DataLicence } from './licence.js';
import { type Purpose, purposeAllowed } from './purpose.js';
import { stateAt } from './step.js';
import type { AgreedTerms } from './terms.js';
import { lifetimeOf } from './view.js';

/** What is asked of an agreement about a dataset version. What is left out is not asked at this moment. */
export interface DataQuestion {
  readonly purpose: Purpose;
  readonly datasetVersionId: string;
  readonly splitId: string;
  /** Those that are learned from. Null: as many as there are. */
  readonly columns: readonly string[] | null;
  /** The application that asks by its key; null for a person. */
  readonly applicationId?: string | null;
  /** Where the worker stands that would train. */
  readonly region?: string;
  readonly now: Date;
}

/**
 * The one decision about learning from another tenant's data: when a training is asked for, when it begins, and when it ends. Pure;
 * whatever is not expressly allowed is denied. Null: it is allowed.
 */
export function decideDataUse(agreement: AgreementRow, question: DataQuestion): AppError | null {
  const { purpose, now, applicationId, region, columns } = question;
  const { terms, validFrom, validUntil } = agreement;
  const { training } = terms;
  if (!training || agreement.datasetVersionId !== question.datasetVersionId)
    return deny('NO_AGREEMENT', 'The agreement is about something else.', 'input.datasetVersionId');
  const state = stateAt(lifetimeOf(agreement), now);
  if (state !== 'ACTIVE' || now >= validUntil)
    return deny('AGREEMENT_NOT_IN_FORCE', `The agreement is ${state === 'ACTIVE' ? 'EXPIRED' : state}.`);
  if (now < validFrom) return deny('AGREEMENT_NOT_IN_FORCE', 'The period of the agreement has not begun.');
  if (!purposeAllowed(terms.purposes, purpose))
    return deny('PURPOSE_NOT_ALLOWED', `The agreement allows ${terms.purposes.join(', ')}.`, 'input.purpose');
  if (terms.applications && applicationId !== undefined && !terms.applications.includes(applicationId ?? ''))
    return deny('APPLICATION_NOT_ALLOWED', 'The agreement names other applications.');
  if (terms.regions && region !== undefined && !terms.regions.includes(region))
    return deny('REGION_NOT_ALLOWED', `The agreement allows ${terms.regions.join(', ')}; this worker is in ${region}.`);
  if (training.splitId !== question.splitId)
    return deny('NO_AGREEMENT', 'The agreement is about another split.', 'input.splitId');
  if (training.columns && columns?.some((name) => !training.columns!.includes(name)))
    return deny('NO_AGREEMENT', 'The agreement lets other columns be learned from.', 'input.features');
  return null;
}

/** What may be done with what was learned, as the terms say. */
export function limitsOf({
  purposes,
  regions,
  training,
}: AgreedTerms): Omit<DataLicence, 'until'> & { until: string | null } {
  return { purposes, regions, mayBeOffered: training!.mayOffer, until: training!.offerUntil };
}

function deny(code: ErrorCode, message: string, field?: string): AppError {
  return new AppError(code, message, field === undefined ? {} : { field });
}
