import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { AppError } from '../../platform/errors.js';
import { type Purpose, PURPOSES } from './purpose.js';

/** What may be told of an answer. `digits`: decimals of a score or a value. */
export type Disclosure =
  | { readonly kind: 'LABEL_ONLY' }
  /** Labels, and the k highest scores of each row. */
  | { readonly kind: 'TOP_K'; readonly k: number; readonly digits: number }
  | { readonly kind: 'SCORES'; readonly digits: number }
  /** Only scores of at least `threshold`. */
  | { readonly kind: 'ABOVE'; readonly threshold: number; readonly digits: number }
  | NoisyDisclosure;

/** Noise under a privacy budget. Epsilon in thousandths; `lower` and `upper` bound the values of a regression. */
export interface NoisyDisclosure {
  readonly kind: 'NOISY';
  readonly epsilonMilliPerRow: number;
  readonly digits: number;
  readonly lower?: number;
  readonly upper?: number;
  /** Of the agreement, for all its rows together. */
  readonly budgetMilli: number;
}

export type Explanations =
  { readonly kind: 'NONE' } | { readonly kind: 'TOP_K'; readonly k: number } | { readonly kind: 'FULL' };

/** What may be learned from a dataset version, and what may be done with what was learned. */
export interface TrainingTerm {
  /** The provider's split: which rows train, and by which the model is measured. */
  readonly splitId: string;
  /** The columns that may be learned from, and whose names and types the consumer sees; null: all. Sorted. */
  readonly columns: readonly string[] | null;
  /** Whether the consumer may offer what was learned to others, within the purposes and regions. */
  readonly mayOffer: boolean;
  /** The first moment at which it may be offered no more; ISO 8601, UTC. */
  readonly offerUntil: string | null;
}

/** What both parties sign of an endpoint or of a dataset version: the one has no `training`, the other no `disclosure`. */
export type AgreedTerms = Omit<Terms, 'disclosure'> & { readonly disclosure: Disclosure | null };

/** What both parties sign of an endpoint. A limit that is null is one that the parties did not set. */
export interface Terms {
  /** Sorted, without repetition. */
  readonly purposes: readonly Purpose[];
  /** ISO 8601, UTC; `until` is the first moment out of force. */
  readonly period: { readonly from: string; readonly until: string };
  /** In windows of UTC, by the database's time. */
  readonly rowsPerSecond: number | null;
  readonly rowsPerDay: number | null;
  readonly rowsPerMonth: number | null;
  readonly rowsInTotal: number | null;
  /** Of one replica. */
  readonly concurrentRequests: number | null;
  readonly disclosure: Disclosure;
  /** Names of regions in which the inferring replica may stand. Sorted. */
  readonly regions: readonly string[] | null;
  /** Ids of the consumer's applications that may ask; null: all of them, and persons. Sorted. */
  readonly applications: readonly string[] | null;
  /** Devices that prove possession of a key (RFC 9449); null: no devices. `most`: how many. */
  readonly devices: { readonly proof: 'REQUIRED' | 'OPTIONAL'; readonly most: number | null } | null;
  readonly explanations: Explanations;
  /** What the provider may do with what the consumer sends. */
  readonly dataUse: {
    readonly keepInputsDays: number;
    readonly trainOnInputs: boolean;
    readonly trainOnFeedback: boolean;
  };
  /** What the provider promises, and what of the month's amount it credits where it fails, in hundredths of a per cent. */
  readonly delivery: {
    readonly p95LatencyMs: number | null;
    readonly availabilityBasisPoints: number | null;
    readonly jobDeadlineMinutes: number | null;
    readonly creditBasisPoints: number;
  } | null;
  readonly price: { readonly currency: string; readonly minorUnitsPerThousandRows: number } | null;
  /** Between a termination and the end; 0: at once. */
  readonly noticeDays: number;
  /** By how much the period is prolonged at its end, unless a party objects. */
  readonly renewal: { readonly months: number } | null;
  readonly training: TrainingTerm | null;
  readonly governingLaw: string | null;
  readonly text: string | null;
}

/** What terms are about. */
export type About = 'ENDPOINT' | 'DATASET_VERSION';

export type TermName = keyof Terms;

/** What holds where terms say nothing: what a request leaves out, and what agreements signed before a term existed lack. */
export const DEFAULT_TERMS = {
  rowsPerSecond: null,
  rowsPerDay: null,
  rowsPerMonth: null,
  rowsInTotal: null,
  concurrentRequests: null,
  regions: null,
  applications: null,
  devices: null,
  explanations: { kind: 'NONE' },
  dataUse: { keepInputsDays: 0, trainOnInputs: false, trainOnFeedback: false },
  delivery: null,
  price: null,
  noticeDays: 0,
  renewal: null,
  training: null,
  governingLaw: null,
  text: null,
} as const satisfies Partial<Terms>;

export const MOST_APPLICATIONS = 100;

const whole = (least: number, most: number) => z.int().min(least).max(most);
const rows = whole(1, 1e12).nullable();
const digits = whole(0, 6);
const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());
const bounded = z.number().min(-1e15).max(1e15);
const names = (pattern: RegExp, most: number, what: string) =>
  z
    .array(z.string().regex(pattern, what))
    .min(1, 'is null, or names at least one')
    .max(most)
    .transform((list) => [...new Set(list)].sort())
    .nullable();
/** Text that people read and sign: no control characters but line ends, and in one Unicode form. */
const prose = (most: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .regex(/^(?:\P{C}|\n)*$/u, 'has characters that cannot be seen')
    .transform((text) => text.normalize('NFC'))
    .nullable();

const DisclosureSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('LABEL_ONLY') }),
  z.strictObject({ kind: z.literal('TOP_K'), k: whole(1, 20), digits }),
  z.strictObject({ kind: z.literal('SCORES'), digits }),
  z.strictObject({
    kind: z.literal('ABOVE'),
    threshold: z
      .number()
      .min(0)
      .max(1)
      .refine((t) => Math.round(t * 1e6) / 1e6 === t, 'has at most 6 decimals'),
    digits,
  }),
  z
    .strictObject({
      kind: z.literal('NOISY'),
      epsilonMilliPerRow: whole(1, 20_000),
      digits: whole(0, 3),
      lower: bounded.optional(),
      upper: bounded.optional(),
      budgetMilli: whole(1, 1e12),
    })
    .refine(
      ({ lower, upper }) => (lower === undefined) === (upper === undefined) && (lower ?? 0) < (upper ?? 1),
      'needs both lower and upper, lower < upper, or neither',
    )
    .refine(
      // Noise is drawn in whole steps of 10^-digits, which must be exact numbers.
      ({ lower = 0, upper = 1, digits }) =>
        Math.max(-lower, upper) * 10 ** digits <= 1e15 &&
        Math.round(upper * 10 ** digits) - Math.round(lower * 10 ** digits) >= 1 &&
        (upper - lower) * 10 ** digits <= 1e9,
      'needs 1 to 1,000,000,000 steps of 10^-digits between lower and upper',
    ),
]);

/** Strict at every level: a term that is not known must be refused, never kept. */
const TermsSchema = z.strictObject({
  purposes: z
    .array(z.enum(Object.keys(PURPOSES) as [Purpose, ...Purpose[]]))
    .min(1, 'needs at least one purpose')
    .transform((list) => [...new Set(list)].sort()),
  period: z
    .strictObject({ from: moment, until: moment })
    .refine(({ from, until }) => from < until, 'must end after it begins'),
  rowsPerSecond: rows,
  rowsPerDay: rows,
  rowsPerMonth: rows,
  rowsInTotal: rows,
  concurrentRequests: whole(1, 10_000).nullable(),
  disclosure: DisclosureSchema.nullable(),
  regions: names(/^[a-z0-9][a-z0-9-]{0,39}$/, 50, 'a region is named by small letters, digits and hyphens'),
  applications: names(/^app_[0-9a-f]{32}$/, MOST_APPLICATIONS, 'names applications by their ids'),
  devices: z.strictObject({ proof: z.enum(['REQUIRED', 'OPTIONAL']), most: whole(1, 100_000).nullable() }).nullable(),
  explanations: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('NONE') }),
    z.strictObject({ kind: z.literal('TOP_K'), k: whole(1, 100) }),
    z.strictObject({ kind: z.literal('FULL') }),
  ]),
  dataUse: z
    .strictObject({ keepInputsDays: whole(0, 36_500), trainOnInputs: z.boolean(), trainOnFeedback: z.boolean() })
    .refine((use) => !use.trainOnInputs || use.keepInputsDays > 0, 'cannot train on inputs that may not be kept'),
  delivery: z
    .strictObject({
      p95LatencyMs: whole(1, 3_600_000).nullable(),
      availabilityBasisPoints: whole(1, 10_000).nullable(),
      jobDeadlineMinutes: whole(1, 525_600).nullable(),
      creditBasisPoints: whole(0, 10_000),
    })
    .refine(
      ({ p95LatencyMs, availabilityBasisPoints, jobDeadlineMinutes }) =>
        (p95LatencyMs ?? availabilityBasisPoints ?? jobDeadlineMinutes) !== null,
      'promises nothing',
    )
    .nullable(),
  price: z
    .strictObject({
      currency: z.string().regex(/^[A-Z]{3}$/, 'is a code of three letters (ISO 4217)'),
      // Times the most rows, a thousandth of it is still an exact number.
      minorUnitsPerThousandRows: whole(1, 8_000_000),
    })
    .nullable(),
  noticeDays: whole(0, 3650),
  renewal: z.strictObject({ months: whole(1, 120) }).nullable(),
  training: z
    .strictObject({
      splitId: z.string().regex(/^spl_[0-9a-f]{32}$/, 'names a split by its id'),
      columns: z
        .array(z.string().min(1).max(1000))
        .min(2, 'is null, or names a target and something to tell it from')
        .max(10_000)
        .transform((list) => [...new Set(list)].sort())
        .nullable(),
      mayOffer: z.boolean(),
      offerUntil: moment.nullable(),
    })
    .nullable(),
  governingLaw: prose(200),
  text: prose(20_000),
});

/** Terms that must fit each other. */
const WholeTermsSchema = TermsSchema.refine(
  ({ disclosure, explanations }) => disclosure?.kind !== 'NOISY' || explanations.kind === 'NONE',
  { path: ['explanations'], message: 'is NONE with NOISY: an explanation would tell what the noise hides' },
).refine(({ disclosure, explanations }) => disclosure?.kind === 'SCORES' || explanations.kind !== 'FULL', {
  path: ['explanations'],
  message: 'is FULL with SCORES only: contributions add up to the score',
});

/** Of an endpoint, answers are disclosed. Of a dataset version nothing is answered: what speaks of answers is refused, not ignored. */
const SCHEMAS = {
  ENDPOINT: WholeTermsSchema.refine(({ disclosure }) => disclosure !== null, {
    path: ['disclosure'],
    message: 'says what is told of an answer',
  }).refine(({ training }) => training === null, { path: ['training'], message: 'is for dataset versions' }),
  DATASET_VERSION: WholeTermsSchema.refine(({ training }) => training !== null, {
    path: ['training'],
    message: 'says what may be learned from',
  }).superRefine((terms, context) => {
    const { delivery, explanations, dataUse } = terms;
    const faults = {
      disclosure: terms.disclosure !== null,
      explanations: explanations.kind !== 'NONE',
      rowsPerSecond: terms.rowsPerSecond !== null,
      rowsPerDay: terms.rowsPerDay !== null,
      rowsPerMonth: terms.rowsPerMonth !== null,
      rowsInTotal: terms.rowsInTotal !== null,
      concurrentRequests: terms.concurrentRequests !== null,
      devices: terms.devices !== null,
      dataUse: dataUse.keepInputsDays > 0 || dataUse.trainOnInputs || dataUse.trainOnFeedback,
      price: terms.price !== null,
      delivery:
        delivery !== null &&
        (delivery.jobDeadlineMinutes === null ||
          (delivery.p95LatencyMs ?? delivery.availabilityBasisPoints) !== null ||
          delivery.creditBasisPoints > 0),
    };
    for (const [term, wrong] of Object.entries(faults))
      if (wrong) context.addIssue({ code: 'custom', path: [term], message: WHY_NOT_FOR_DATA[term] ?? NO_ANSWERS });
  }),
} as const;
const NO_ANSWERS = 'is for endpoints: of a dataset version nothing is asked and nothing answered';
const WHY_NOT_FOR_DATA: Record<string, string> = {
  delivery: 'of a dataset version is the deadline of a job only: nothing is paid that could be credited',
  price: 'is of rows that are answered: of a dataset version none are',
};

/** In the order in which people read them. */
export const TERM_NAMES = Object.keys(TermsSchema.shape) as readonly TermName[];

/** Checks and normalises; what is left out gets its default. Throws INVALID_INPUT naming the first term at fault. */
export function parseTerms(value: unknown): Terms;
export function parseTerms(value: unknown, about: About): AgreedTerms;
export function parseTerms(value: unknown, about: About = 'ENDPOINT'): AgreedTerms {
  const defaults = about === 'ENDPOINT' ? DEFAULT_TERMS : { ...DEFAULT_TERMS, disclosure: null };
  const parsed = SCHEMAS[about].safeParse(
    typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...defaults, ...value } : value,
  );
  if (parsed.success) return parsed.data as AgreedTerms;
  const [issue] = parsed.error.issues;
  const field = ['input', 'terms', ...issue!.path].join('.');
  throw new AppError(
    'INVALID_INPUT',
    `The terms cannot be offered: ${field.slice('input.'.length)}: ${issue!.message}.`,
    {
      field,
      remedy: 'Use the terms that docs/agreements.md lists, and no others.',
    },
  );
}

export function invalidTerm(term: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.terms.${term}` });
}

/** Terms as they are stored: those of older agreements have fewer keys, and the signed document stays as it was signed. */
export function readTerms(stored: Partial<AgreedTerms>): AgreedTerms {
  return { ...DEFAULT_TERMS, ...stored } as AgreedTerms;
}

/** The same of an agreement that is about an endpoint, and so has a disclosure. */
export function readPredictionTerms(stored: Partial<Terms>): Terms {
  return { ...DEFAULT_TERMS, ...stored } as Terms;
}

/** Why a model of this task could not answer by the rule; null if it can. */
export function disclosureMisfit(disclosure: Disclosure, task: 'binary' | 'multiclass' | 'regression'): string | null {
  const bounded = disclosure.kind === 'NOISY' && disclosure.lower !== undefined;
  if (task === 'regression') {
    if (disclosure.kind === 'NOISY')
      return bounded ? null : 'Noise on the values of a regression needs lower and upper.';
    return disclosure.kind === 'SCORES'
      ? null
      : 'A regression model has no labels: choose the number of decimals of its values (SCORES).';
  }
  return bounded ? 'lower and upper are for the values of a regression; scores lie between 0 and 1.' : null;
}

export interface AgreementDocument {
  /** 1: terms may lack keys, whose defaults hold. 2: all keys of the terms are there. 3: the same, of a dataset version. */
  readonly format: 'concordat-agreement/1' | 'concordat-agreement/2' | 'concordat-agreement/3';
  readonly agreementId: string;
  readonly version: number;
  readonly providerTenantId: string;
  readonly consumerTenantId: string;
  /** The one or the other. */
  readonly endpointId?: string;
  readonly datasetVersionId?: string;
  readonly terms: AgreedTerms;
}

/** The exact bytes that are signed: canonical JSON (RFC 8785) that names the parties, so that no signature fits elsewhere. */
export function canonicalDocument(document: AgreementDocument): { readonly text: string; readonly digest: Buffer } {
  const text = canonicalize(document)!;
  return { text, digest: createHash('sha256').update(text, 'utf8').digest() };
}
