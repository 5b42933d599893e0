import type { ErrorCode } from '../../platform/errors.js';
import {
  type Disclosure,
  DISCLOSURE_ENFORCEMENT,
  disclosureMisfit,
  type Explanations,
  type Purpose,
  purposeAllowed,
  PURPOSES,
  stateAt,
  type Terms,
} from '../agreements/agreement.service.js';
import type { AgreementPolicy, Policy } from './policy.js';

/** The most rows of one request: more belong into a batch job. */
export const MAX_ROWS = 10_000;
/** The most rows of one request that asks for explanations, which cost a hundred times as much. */
export const MAX_EXPLAINED_ROWS = 100;
/** The most rows of one batch. */
export const MAX_BATCH_ROWS = 10_000_000;

export type Door = 'GRAPHQL' | 'OPEN_INFERENCE' | 'BATCH';

export interface Question {
  /** Through which door it comes. Left out: one that answers at once. */
  readonly door?: Door;
  /** The tenant that asks, and whether its credential may ask for predictions. */
  readonly tenantId: string;
  readonly mayPredict: boolean;
  /** Null: there is no such endpoint. */
  readonly policy: Policy | null;
  /** The agreement that the request names, if it does. */
  readonly agreementId: string | null;
  readonly purpose: string | null;
  /** The application that asks by its key; null for a person. */
  readonly applicationId: string | null;
  /** Of this replica, which would infer. */
  readonly region: string;
  /** Requests under an agreement that are under way in this replica. */
  readonly running: (agreementId: string) => number;
  readonly rowCount: number;
  /** Whether the answers are to be explained. */
  readonly explain: boolean;
  /** The device that the request proves to come from, if it does. Left out: none. */
  readonly device?: { readonly agreementIds: ReadonlySet<string> } | null;
  readonly now: Date;
}

/** FULL is what a tenant may know of its own model. */
export type Disclosed = Disclosure | { readonly kind: 'FULL' };

export interface Admission {
  readonly admit: true;
  /** Null: the tenant's own endpoint. */
  readonly agreementId: string | null;
  readonly disclosure: Disclosed;
  /** NONE unless they were asked for. */
  readonly explanations: Explanations;
  /** Whether requests under the agreement are limited in number at a time, so that this one counts until it is over. */
  readonly counts: boolean;
}

export interface Denial {
  readonly admit: false;
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
  readonly remedy?: string;
  readonly retryAfterMs?: number;
  /** The agreement on which it rests, as far as there is one. */
  readonly agreementId: string | null;
}

export type Decision = Admission | Denial;

/**
 * The one decision behind every door: who, endpoint, agreement in force, purpose, application, region, device, rows, disclosure,
 * requests at a time. Pure. Whatever is not
 * expressly allowed is denied. Quotas are not decided here but in the ledger, under its lock, together with state and period
 * once more. A tenant to which the endpoint was never offered gets the answer of an endpoint that does not exist.
 */
export function decide(question: Question): Decision {
  const { tenantId, policy, rowCount } = question;
  if (!question.mayPredict) return deny('FORBIDDEN', 'This needs the permission prediction:create.');
  if (!policy) return missing();
  const own = policy.endpoint.tenantId === tenantId;
  if (own ? policy.endpoint.state !== 'READY' : policy.agreements.length === 0) return missing();
  const chosen = own ? ownUse(question) : underAgreement(question, policy);
  if (!chosen.admit) return chosen;
  const { agreementId, disclosure } = chosen;
  if (policy.endpoint.state !== 'READY')
    return deny('ENDPOINT_NOT_READY', 'The endpoint does not answer at present.', { agreementId });
  if (rowCount < 1) return deny('INPUT_INVALID', 'There are no rows.', { agreementId, field: 'input.columns' });
  const [what, most] = question.door === 'BATCH' ? ['batch', MAX_BATCH_ROWS] : ['request', MAX_ROWS];
  if (rowCount > most)
    return deny('TOO_MANY_ROWS', `A ${what} has at most ${most} rows; this one has ${rowCount}.`, {
      agreementId,
      field: 'input.columns',
    });
  const impossible = disclosure.kind === 'FULL' ? null : whyNotDisclosable(disclosure, policy.endpoint.signature.task);
  if (impossible !== null) return deny('DISCLOSURE_IMPOSSIBLE', impossible, { agreementId });
  const told = question.explain ? explained(chosen, rowCount) : unexplained(chosen);
  return told.admit && told.counts ? unlessTooMany(question, policy, told) : told;
}

const NO_EXPLANATIONS = { kind: 'NONE' } as const;

function unexplained({ agreementId, disclosure, counts }: Admission): Admission {
  return { admit: true, agreementId, disclosure, explanations: NO_EXPLANATIONS, counts };
}

/** An exact explanation would tell what noise hides, whatever was signed. */
function explained(chosen: Admission, rowCount: number): Decision {
  const { agreementId, disclosure, explanations } = chosen;
  if (explanations.kind === 'NONE' || disclosure.kind === 'NOISY')
    return deny('EXPLANATION_NOT_ALLOWED', 'The agreement allows no explanations.', {
      agreementId,
      field: 'input.explain',
    });
  if (rowCount > MAX_EXPLAINED_ROWS)
    return deny(
      'TOO_MANY_ROWS',
      `A request with explanations has at most ${MAX_EXPLAINED_ROWS} rows; this one has ${rowCount}.`,
      { agreementId, field: 'input.columns' },
    );
  return chosen;
}

/** The last question of all, so that what would be refused in any case is not said to be worth trying again. */
function unlessTooMany({ running }: Question, { agreements }: Policy, chosen: Admission): Decision {
  const { id, terms } = agreements.find((one) => one.id === chosen.agreementId)!;
  if (running(id) < terms.concurrentRequests!) return chosen;
  const message = `The agreement allows ${terms.concurrentRequests} requests at a time.`;
  return deny('CONCURRENCY_EXCEEDED', message, { agreementId: id, retryAfterMs: 100 });
}

function whyNotDisclosable(disclosure: Disclosure, task: Policy['endpoint']['signature']['task']): string | null {
  if (DISCLOSURE_ENFORCEMENT[disclosure.kind].status !== 'ENFORCED')
    return `Answers under the rule ${disclosure.kind} are not built yet.`;
  return disclosureMisfit(disclosure, task);
}

function ownUse({ agreementId, purpose }: Question): Decision {
  if (agreementId !== null)
    return deny('NO_AGREEMENT', 'There is no such agreement: this endpoint is the tenant’s own.', {
      field: 'input.agreementId',
      remedy: 'Leave out agreementId.',
    });
  if (purpose !== null && !isPurpose(purpose)) return unknownPurpose(null);
  return {
    admit: true,
    agreementId: null,
    disclosure: { kind: 'FULL' },
    explanations: { kind: 'FULL' },
    counts: false,
  };
}

function underAgreement(question: Question, { agreements }: Policy): Decision {
  const { agreementId, purpose, now } = question;
  const candidates = agreementId === null ? agreements : agreements.filter(({ id }) => id === agreementId);
  if (candidates.length === 0)
    return deny('NO_AGREEMENT', 'The agreement that is named does not cover this endpoint.', {
      field: 'input.agreementId',
    });
  const inForce = candidates.filter((agreement) => whyNotInForce(agreement, now) === null);
  if (inForce.length === 0) {
    const last = candidates.at(-1)!;
    return deny('AGREEMENT_NOT_IN_FORCE', notInForceMessage(whyNotInForce(last, now)!), { agreementId: last.id });
  }
  const first = inForce[0]!;
  if (purpose === null || !isPurpose(purpose)) return unknownPurpose(first);
  const forPurpose = inForce.filter(({ terms }) => purposeAllowed(terms.purposes, purpose));
  if (forPurpose.length === 0)
    return deny('PURPOSE_NOT_ALLOWED', purposeMessage(first), { agreementId: first.id, field: 'input.purpose' });
  // The oldest that allows all of it; where none does, the first thing that is in the way of the oldest that allows the rest.
  let fitting = forPurpose;
  for (const { allows, code, message } of WHO_AND_WHERE) {
    const left = fitting.filter(({ terms }) => allows(terms, question));
    if (left.length === 0) return deny(code, message(question), { agreementId: fitting[0]!.id });
    fitting = left;
  }
  const [oldest] = fitting as [AgreementPolicy];
  return whyNotFrom(question.device, oldest) ?? admitted(oldest);
}

function admitted({ id, terms }: AgreementPolicy): Admission {
  const { disclosure, explanations, concurrentRequests } = terms;
  return { admit: true, agreementId: id, disclosure, explanations, counts: concurrentRequests !== null };
}

/** Where terms speak of devices: a key alone is enough only if proof is optional, and a device that shows itself must be admitted. */
function whyNotFrom(device: Question['device'], { id, terms }: AgreementPolicy): Denial | null {
  if (terms.devices === null || device?.agreementIds.has(id) === true) return null;
  if (device) return deny('DEVICE_NOT_ADMITTED', 'The agreement does not admit this device.', { agreementId: id });
  return terms.devices.proof === 'OPTIONAL'
    ? null
    : deny('PROOF_REQUIRED', 'Under this agreement a request proves from which device it comes.', { agreementId: id });
}

interface Rule {
  readonly code: ErrorCode;
  readonly allows: (terms: Terms, question: Question) => boolean;
  readonly message: (question: Question) => string;
}

/** Who may ask and where it may be answered, in the order in which they are looked at. */
const WHO_AND_WHERE: readonly Rule[] = [
  {
    code: 'APPLICATION_NOT_ALLOWED',
    allows: ({ applications }, { applicationId }) =>
      applications === null || (applicationId !== null && applications.includes(applicationId)),
    message: ({ applicationId }) =>
      applicationId === null
        ? 'The agreement names the applications that may ask; a person is none of them.'
        : 'The agreement names the applications that may ask, and this is none of them.',
  },
  {
    code: 'REGION_NOT_ALLOWED',
    allows: ({ regions }, { region }) => regions === null || regions.includes(region),
    message: ({ region }) => `The agreement does not allow an answer from the region ${region}.`,
  },
];

/** The state out of force, NOT_YET before the period; null if in force. */
function whyNotInForce(agreement: AgreementPolicy, now: Date): string | null {
  const state = stateAt(agreement, now);
  if (state !== 'ACTIVE') return state;
  return now < agreement.validFrom ? 'NOT_YET' : null;
}

/** `why`: a state, NOT_YET, or MISSING. */
export function notInForceMessage(why: string): string {
  if (why === 'NOT_YET') return 'The period of the agreement has not begun.';
  if (why === 'MISSING') return 'There is no such agreement in force.';
  return `The agreement is ${why}, not ACTIVE.`;
}

function unknownPurpose(agreement: AgreementPolicy | null): Denial {
  const message = agreement ? purposeMessage(agreement) : 'There is no such purpose.';
  return deny('PURPOSE_NOT_ALLOWED', message, { agreementId: agreement?.id ?? null, field: 'input.purpose' });
}

function purposeMessage({ terms }: AgreementPolicy): string {
  return `A request under this agreement declares one of its purposes: ${terms.purposes.join(', ')}.`;
}

function isPurpose(purpose: string): purpose is Purpose {
  return Object.hasOwn(PURPOSES, purpose);
}

function missing(): Denial {
  return deny('NOT_FOUND', 'No such endpoint.');
}

function deny(
  code: ErrorCode,
  message: string,
  more: Partial<Omit<Denial, 'admit' | 'code' | 'message'>> = {},
): Denial {
  return { admit: false, code, message, agreementId: null, ...more };
}
