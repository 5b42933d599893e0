import { type AgreedTerms, type Disclosure, TERM_NAMES, type TermName } from './terms.js';

/** Whether a term is held by the path of every prediction, or by the word of the parties alone. */
export type TermStatus = 'ENFORCED' | 'NOT_ENFORCED';

interface Enforcement {
  readonly status: TermStatus;
  readonly sentence: string;
}

const enforced = (sentence: string): Enforcement => ({ status: 'ENFORCED', sentence });
const notEnforced = (sentence: string): Enforcement => ({ status: 'NOT_ENFORCED', sentence });

/**
 * The one table of what is enforced. Whoever builds the enforcement of a term changes its line here and in docs/agreements.md in the
 * same commit.
 */
export const ENFORCEMENT: Record<Exclude<TermName, 'disclosure'>, Enforcement> = {
  purposes: enforced(
    'A request declares one of these purposes or one below, or is refused; that it is true is the consumer’s word.',
  ),
  period: enforced('Requests outside the period are refused, by the decision and by the ledger.'),
  rowsPerSecond: enforced('The ledger refuses a request whose rows would pass the limit of the second (UTC).'),
  rowsPerDay: enforced('The ledger refuses a request whose rows would pass the limit of the UTC day.'),
  rowsPerMonth: enforced('The ledger refuses a request whose rows would pass the limit of the month (UTC).'),
  rowsInTotal: enforced('The ledger refuses a request whose rows would pass the limit.'),
  concurrentRequests: enforced('A request beyond the limit is refused by the replica that it reached.'),
  regions: enforced('A replica that stands elsewhere refuses; where it stands is its operator’s word.'),
  applications: enforced('Requests by other applications and by persons are refused.'),
  devices: enforced(
    'Requests prove from which device they come (RFC 9449), or are refused if proof is REQUIRED; no more devices are admitted than agreed.',
  ),
  explanations: enforced(
    'Only what is agreed passes the one function from an explanation to what is told of it; other requests for one are refused.',
  ),
  dataUse: enforced(
    'The platform keeps no inputs, so that nobody can keep them or train on them, whatever is allowed.',
  ),
  delivery: enforced(
    'Monthly statements measure latency, availability and the deadline of batches from what was recorded, and count the credit.',
  ),
  price: enforced(
    'Monthly statements and the settlement count rows and what they cost; nothing is paid through the platform.',
  ),
  noticeDays: enforced('An agreement stays in force to the end of the notice, unless both parties end it.'),
  renewal: enforced('The platform prolongs the period before it ends, unless a party has stopped it.'),
  training: enforced(
    'A training on other rows, or on other columns, is refused; what was learned can be offered as the term says only.',
  ),
  governingLaw: notEnforced('Words for people and courts.'),
  text: notEnforced('Words for people and courts.'),
};

/** What of it is otherwise where the terms are about a dataset version. */
export const DATA_ENFORCEMENT = {
  purposes: enforced(
    'A training declares one of these purposes or one below, or is refused, and what was learned can be offered for these only; what the consumer does with it itself is its word.',
  ),
  period: enforced('A training outside the period is refused: when it is asked for, when it begins, and when it ends.'),
  regions: enforced(
    'A worker that stands elsewhere does not train, and what was learned can be offered in these regions only; where a worker stands is its operator’s word.',
  ),
  applications: enforced('Trainings that other applications or persons ask for are refused.'),
  delivery: enforced(
    'Whether a training ended by its deadline is measured and shown to both; nothing is paid or credited.',
  ),
} as const satisfies Partial<typeof ENFORCEMENT>;
/** Terms that are always there and say nothing of data: they are refused if they say more. */
const NOTHING_OF_DATA: readonly TermName[] = ['explanations', 'dataUse'];

/** By rule. A rule that is not enforced answers nothing at all: the decision refuses it. */
export const DISCLOSURE_ENFORCEMENT: Record<Disclosure['kind'], Enforcement> = {
  LABEL_ONLY: enforced('Only labels pass the one function from an inference to an answer.'),
  TOP_K: enforced(
    'Labels, and of the rounded scores the highest, pass the one function from an inference to an answer.',
  ),
  SCORES: enforced('Scores and values are rounded in the one function from an inference to an answer.'),
  ABOVE: enforced(
    'Only rounded scores from the threshold on, and labels of such a score, pass the one function from an inference to an answer.',
  ),
  NOISY: enforced(
    'Labels, scores and values get exact noise in the one function from an inference to an answer, and the ledger refuses rows beyond the privacy budget.',
  ),
};

export interface TermEnforcement extends Enforcement {
  readonly term: TermName;
}

/** Each term that is set, in the order of the terms. A limit that is not set binds nobody and is left out. */
export function enforcementOf(terms: AgreedTerms): TermEnforcement[] {
  const { disclosure } = terms;
  const table = disclosure === null ? { ...ENFORCEMENT, ...DATA_ENFORCEMENT } : ENFORCEMENT;
  const without = disclosure === null ? NOTHING_OF_DATA : [];
  return TERM_NAMES.filter(
    (term) => terms[term] !== null && !(term === 'noticeDays' && terms.noticeDays === 0) && !without.includes(term),
  ).map((term) => ({
    term,
    ...(term === 'disclosure' ? DISCLOSURE_ENFORCEMENT[disclosure!.kind] : table[term]),
  }));
}
