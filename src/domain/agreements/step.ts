import { AppError } from '../../platform/errors.js';

export const AGREEMENT_STATES = ['OFFERED', 'ACTIVE', 'SUSPENDED', 'TERMINATED', 'EXPIRED', 'WITHDRAWN'] as const;
export type AgreementState = (typeof AGREEMENT_STATES)[number];
export const PARTIES = ['PROVIDER', 'CONSUMER'] as const;
export type Party = (typeof PARTIES)[number];

/** All that steps depend on and change. */
export interface Situation {
  readonly state: AgreementState;
  readonly signedBy: readonly Party[];
  /** Both may have suspended; the agreement is in force again when neither has. */
  readonly suspendedBy: readonly Party[];
}

interface StepRow {
  readonly from: readonly AgreementState[];
  /** Beyond the state, what must hold for the party that takes the step; `unless` says what does not. */
  readonly may?: (now: Situation, party: Party) => boolean;
  readonly unless?: string;
  readonly next: (now: Situation, party: Party) => Situation;
}

const without = (list: readonly Party[], party: Party) => list.filter((other) => other !== party);
const ended = (state: AgreementState) => (now: Situation) => ({ ...now, state });

/** The state machine. Every step, whence it may be taken, by whom, and whither it leads; nothing else is legal. */
export const STEPS = {
  sign: {
    from: ['OFFERED'],
    may: (now, party) => !now.signedBy.includes(party),
    unless: 'this party has signed already',
    next: (now, party) => {
      const signedBy = [...now.signedBy, party];
      return { ...now, signedBy, state: signedBy.length === PARTIES.length ? 'ACTIVE' : 'OFFERED' };
    },
  },
  withdraw: { from: ['OFFERED'], next: ended('WITHDRAWN') },
  suspend: {
    from: ['ACTIVE', 'SUSPENDED'],
    may: (now, party) => !now.suspendedBy.includes(party),
    unless: 'this party has suspended it already',
    next: (now, party) => ({ ...now, state: 'SUSPENDED', suspendedBy: [...now.suspendedBy, party] }),
  },
  resume: {
    from: ['SUSPENDED'],
    may: (now, party) => now.suspendedBy.includes(party),
    unless: 'only the party that suspended it can resume it',
    next: (now, party) => {
      const suspendedBy = without(now.suspendedBy, party);
      return { ...now, suspendedBy, state: suspendedBy.length === 0 ? 'ACTIVE' : 'SUSPENDED' };
    },
  },
  terminate: { from: ['ACTIVE', 'SUSPENDED'], next: ended('TERMINATED') },
} as const satisfies Record<string, StepRow>;

export type Step = keyof typeof STEPS;

/** The states in which time ends an agreement. */
export const EXPIRABLE: readonly AgreementState[] = ['OFFERED', 'ACTIVE', 'SUSPENDED'];

/** The state at `now`: the stored one, unless the period has ended since. */
export function stateAt(agreement: { state: AgreementState; validUntil: Date }, now: Date): AgreementState {
  return EXPIRABLE.includes(agreement.state) && now >= agreement.validUntil ? 'EXPIRED' : agreement.state;
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

/** Where the step leads; throws ILLEGAL_STEP, saying what would be legal. */
export function takeStep(step: Step, now: Situation, party: Party): Situation {
  const refusal = refusalOf(step, now, party);
  if (refusal === null) return STEPS[step].next(now, party);
  const legal = legalSteps(now, party);
  throw new AppError('ILLEGAL_STEP', `Cannot ${step}: ${refusal}.`, {
    remedy:
      legal.length > 0
        ? `What this party can do now: ${legal.join(', ')}.`
        : 'Nothing more can be done; make a new offer.',
  });
}
