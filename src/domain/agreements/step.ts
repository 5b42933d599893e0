import { AppError } from '../../platform/errors.js';

export const AGREEMENT_STATES = [
  'OFFERED',
  'ACTIVE',
  'SUSPENDED',
  'TERMINATING',
  'TERMINATED',
  'EXPIRED',
  'WITHDRAWN',
  'SETTLED',
] as const;
export type AgreementState = (typeof AGREEMENT_STATES)[number];
/** As rows have it: ACTIVE is in force, with or without a notice. */
export type StoredState = Exclude<AgreementState, 'TERMINATING'>;
export const PARTIES = ['PROVIDER', 'CONSUMER'] as const;
export type Party = (typeof PARTIES)[number];

/** What steps need to know of the terms of a version. */
export interface Rules {
  /** A termination needs notice, unless both want it. */
  readonly needsNotice: boolean;
  readonly renews: boolean;
}

/** All that steps depend on and change. */
export interface Situation {
  readonly state: AgreementState;
  /** The version that waits for signatures: the offer, or an amendment to what is in force. */
  readonly open: { readonly by: Party; readonly signedBy: readonly Party[]; readonly rules: Rules } | null;
  /** Of the version in force. */
  readonly rules: Rules | null;
  /** Both may have suspended; the agreement is in force again when neither has, and no breach stands. */
  readonly suspendedBy: readonly Party[];
  /** Who broke it, where the platform has suspended it. */
  readonly breachBy: Party | null;
  /** Who gave notice. */
  readonly noticeBy: Party | null;
}

interface StepRow {
  /** The GraphQL mutation that takes it. */
  readonly mutation: string;
  readonly from: readonly AgreementState[];
  /** Beyond the state, what must hold for the party that takes the step; `unless` says what does not. */
  readonly may?: (now: Situation, party: Party) => boolean;
  readonly unless?: string;
  /** `rules`: of the terms that the step brings along, if it does. */
  readonly next: (now: Situation, party: Party, rules: Rules) => Situation;
}

const STANDING = ['ACTIVE', 'SUSPENDED', 'TERMINATING'] as const satisfies AgreementState[];
const without = (list: readonly Party[], party: Party) => list.filter((other) => other !== party);

/** Suspended as long as anything suspends it; otherwise in force, to the end of a notice if there is one. */
function standing(now: Situation): Situation {
  const suspended = now.suspendedBy.length > 0 || now.breachBy !== null;
  return { ...now, state: suspended ? 'SUSPENDED' : now.noticeBy ? 'TERMINATING' : 'ACTIVE' };
}

/** The state machine. Every step, whence it may be taken, by whom, and whither it leads; nothing else is legal. */
export const STEPS = {
  sign: {
    mutation: 'signAgreement',
    from: ['OFFERED', 'ACTIVE', 'SUSPENDED'],
    may: ({ open }, party) => open !== null && !open.signedBy.includes(party),
    unless: 'nothing waits for a signature of this party',
    next: (now, party) => {
      const open = { ...now.open!, signedBy: [...now.open!.signedBy, party] };
      return open.signedBy.length < PARTIES.length
        ? { ...now, open }
        : standing({ ...now, open: null, rules: open.rules });
    },
  },
  counter: {
    mutation: 'counterAgreement',
    from: ['OFFERED'],
    may: ({ open }, party) => open!.by !== party,
    unless: 'this party made the present offer',
    next: (now, by, rules) => ({ ...now, open: { by, signedBy: [], rules } }),
  },
  withdraw: {
    mutation: 'withdrawAgreement',
    from: ['OFFERED'],
    next: (now) => ({ ...now, state: 'WITHDRAWN', open: null }),
  },
  amend: {
    mutation: 'amendAgreement',
    from: ['ACTIVE', 'SUSPENDED'],
    may: ({ open, noticeBy }) => open === null && noticeBy === null,
    unless: 'an amendment waits already, or notice was given',
    next: (now, by, rules) => ({ ...now, open: { by, signedBy: [], rules } }),
  },
  reject: {
    mutation: 'rejectAmendment',
    from: ['ACTIVE', 'SUSPENDED'],
    may: ({ open }) => open !== null,
    unless: 'no amendment waits',
    next: (now) => ({ ...now, open: null }),
  },
  suspend: {
    mutation: 'suspendAgreement',
    from: STANDING,
    may: (now, party) => !now.suspendedBy.includes(party),
    unless: 'this party has suspended it already',
    next: (now, party) => standing({ ...now, suspendedBy: [...now.suspendedBy, party] }),
  },
  resume: {
    mutation: 'resumeAgreement',
    from: ['SUSPENDED'],
    may: (now, party) => now.suspendedBy.includes(party) || (now.breachBy !== null && now.breachBy !== party),
    unless: 'only the party that suspended it can resume it, and after a breach the other party',
    next: (now, party) =>
      standing({
        ...now,
        suspendedBy: without(now.suspendedBy, party),
        breachBy: now.breachBy === party ? party : null,
      }),
  },
  stopRenewal: {
    mutation: 'stopRenewal',
    from: ['ACTIVE', 'SUSPENDED'],
    may: ({ rules, noticeBy }) => rules!.renews && noticeBy === null,
    unless: 'it does not renew itself',
    next: (now) => ({ ...now, rules: { ...now.rules!, renews: false } }),
  },
  terminate: {
    mutation: 'terminateAgreement',
    from: STANDING,
    may: ({ noticeBy }, party) => noticeBy !== party,
    unless: 'this party has given notice already',
    next: (now, party) =>
      now.noticeBy !== null || !now.rules!.needsNotice
        ? { ...now, state: 'TERMINATED', open: null }
        : standing({ ...now, open: null, noticeBy: party }),
  },
  settle: {
    mutation: 'settleAgreement',
    from: ['TERMINATED', 'EXPIRED'],
    may: ({ rules }) => rules !== null,
    unless: 'it was never in force',
    next: (now) => ({ ...now, state: 'SETTLED' }),
  },
} as const satisfies Record<string, StepRow>;

export type Step = keyof typeof STEPS;

/** What the platform does on a breach by `by`; null where it changes nothing. */
export function suspendedForBreach(now: Situation, by: Party): Situation | null {
  const may = (STANDING as readonly AgreementState[]).includes(now.state) && now.breachBy === null;
  return may ? standing({ ...now, breachBy: by }) : null;
}

/** The states in which time ends an agreement. */
export const EXPIRABLE: readonly AgreementState[] = ['OFFERED', ...STANDING];

/** A period is renewed so long before it ends, so that no request falls between two periods. */
export const RENEWAL_LEAD_MS = 10 * 60_000;

export interface Lifetime {
  readonly state: AgreementState;
  /** The first moment out of force, as things stand: the end of the period, or of the notice. */
  readonly validUntil: Date;
  readonly noticeUntil?: Date | null;
  /** Renews itself at the end of the period. */
  readonly renews?: boolean;
}

/** What time has brought by `now`: null for nothing. */
export function dueAt(agreement: Lifetime, now: Date): 'RENEW' | 'TERMINATED' | 'EXPIRED' | null {
  const { state, validUntil, noticeUntil } = agreement;
  if (!EXPIRABLE.includes(state)) return null;
  if (agreement.renews && state !== 'OFFERED' && !noticeUntil)
    return now.getTime() >= validUntil.getTime() - RENEWAL_LEAD_MS ? 'RENEW' : null;
  if (now < validUntil) return null;
  return noticeUntil && noticeUntil <= validUntil ? 'TERMINATED' : 'EXPIRED';
}

/** The state at `now`: the stored one, unless time has ended it since. */
export function stateAt<S extends AgreementState>(
  agreement: Lifetime & { readonly state: S },
  now: Date,
): S | 'TERMINATED' | 'EXPIRED' {
  const due = dueAt(agreement, now);
  return due === null || due === 'RENEW' ? agreement.state : due;
}

function refusalOf(step: Step, now: Situation, party: Party): string | null {
  const row: StepRow = STEPS[step];
  if (!row.from.includes(now.state)) return `the agreement is ${now.state}`;
  return row.may && !row.may(now, party) ? row.unless! : null;
}

/** The steps that `party` could take now. */
export function legalSteps(now: Situation, party: Party): Step[] {
  return (Object.keys(STEPS) as Step[]).filter((step) => refusalOf(step, now, party) === null);
}

const NO_RULES: Rules = { needsNotice: false, renews: false };

/** Where the step leads; throws ILLEGAL_STEP, saying what would be legal. */
export function takeStep(step: Step, now: Situation, party: Party, rules: Rules = NO_RULES): Situation {
  const refusal = refusalOf(step, now, party);
  const row: StepRow = STEPS[step];
  if (refusal === null) return row.next(now, party, rules);
  const legal = legalSteps(now, party);
  throw new AppError('ILLEGAL_STEP', `Cannot ${step}: ${refusal}.`, {
    remedy:
      legal.length > 0
        ? `What this party can do now: ${legal.join(', ')}.`
        : 'Nothing more can be done; make a new offer.',
  });
}
