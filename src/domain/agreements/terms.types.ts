import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { DateTime, enumOf, Long } from '../../platform/graphql.js';
import type { TermStatus } from './enforcement.js';
import { type Purpose, PURPOSES } from './purpose.js';
import {
  type AgreedTerms,
  type Disclosure as DisclosureTerm,
  type Explanations,
  TERM_NAMES,
  type TermName,
} from './terms.js';

const sameNames = <T extends string>(names: readonly T[]) =>
  Object.fromEntries(names.map((n) => [n, n])) as { [K in T]: K };

export const PurposeEnum = sameNames(Object.keys(PURPOSES) as Purpose[]);
registerEnumType(PurposeEnum, {
  name: 'Purpose',
  description: 'Why a prediction is asked for. What allows a purpose allows those below it.',
  valuesConfig: Object.fromEntries(
    Object.entries(PURPOSES).map(([name, { means, under }]) => [
      name,
      { description: under === null ? means : `${means} Below ${under}.` },
    ]),
  ),
});

export const DisclosureKindEnum = enumOf<DisclosureTerm['kind']>('DisclosureKind', 'What is told of an answer.', {
  LABEL_ONLY: 'The label and nothing else. Not for regression.',
  TOP_K: 'The label and the highest scores of each row, rounded. Not for regression.',
  SCORES: 'The label and the score of every class, or the value; rounded.',
  ABOVE: 'The rounded scores from a threshold on, and the label if its score is one of them. Not for regression.',
  NOISY:
    'A label with noise and, with digits, the score of its class with noise; or the value with noise: under a privacy budget.',
});

export const ExplanationsKindEnum = enumOf<Explanations['kind']>('ExplanationsKind', 'What is told of the reasons.', {
  NONE: 'Nothing.',
  TOP_K: 'The names of the columns that moved each answer most, and which way. Not with NOISY.',
  FULL: 'What every column contributed to the raw score of each row, rounded like the scores. With SCORES only.',
});

export const DeviceProofEnum = enumOf<'REQUIRED' | 'OPTIONAL'>(
  'DeviceProof',
  'Whether a request must come from a device that proves possession of its key (RFC 9449).',
  { REQUIRED: 'Nobody asks without a proof.', OPTIONAL: 'Applications and persons may ask without one.' },
);

export const TermStatusEnum = enumOf<TermStatus>('TermStatus', 'Whether a term is held by more than words.', {
  ENFORCED: 'A request that would break it is refused.',
  NOT_ENFORCED: 'It is signed, and that is all: nothing in the platform holds anybody to it.',
});

/** The names of terms as the terms write them. */
export const TermNameEnum = Object.fromEntries(
  TERM_NAMES.map((name) => [name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(), name]),
) as Record<string, TermName>;
registerEnumType(TermNameEnum, {
  name: 'AgreementTerm',
  description: 'One of the terms of an agreement.',
  valuesConfig: Object.fromEntries(
    Object.entries(TermNameEnum).map(([name, term]) => [name, { description: `The term \`${term}\`.` }]),
  ),
});

const TEXTS = {
  purposes: 'What predictions may be asked for; of a dataset version, what may be learned from it for.',
  training:
    'What may be learned from a dataset version, and what may be done with what was learned. With one only, and always with one.',
  disclosure: 'What is told of an answer. With an endpoint only, and always with one.',
  splitId: 'The provider’s split: which rows train, and by which the model is measured.',
  columns: 'The columns that may be learned from, and whose names and types the consumer sees; null: all.',
  mayOffer: 'Whether the consumer may offer what was learned to others, for the purposes and in the regions.',
  offerUntil: 'The first moment at which it may be offered no more; null: for ever.',
  perSecond: 'Rows a second (UTC) at most; null: no such limit.',
  perDay: 'Rows a day (UTC) at most; null: no such limit.',
  perMonth: 'Rows a month (UTC) at most; null: no such limit.',
  inTotal: 'Rows in total at most; null: no such limit.',
  concurrent: 'Requests at the same time at most, of each replica; null: no such limit.',
  regions: 'Regions in which the platform may infer, as the operator names them; null: anywhere.',
  applications: 'Ids of the consumer’s applications that may ask; null: all of them, and its members.',
  devices: 'Devices that may ask; null: none.',
  explanations: 'What is told of the reasons of an answer.',
  dataUse: 'What the provider may do with what the consumer sends.',
  delivery: 'What the provider promises of the delivery; null: nothing.',
  price: 'What rows cost; null: nothing.',
  noticeDays: 'Days between a termination and the end; 0: it ends at once.',
  renewal: 'By how much the period is prolonged at its end, unless a party objects; null: not at all.',
  governingLaw: 'The law that governs the agreement, in words. Not enforced.',
  text: 'What else is agreed, in words. Not enforced.',
  digits: 'Decimals to which scores and values are rounded, 0 to 6 (with NOISY 0 to 3); not with LABEL_ONLY.',
  k: 'How many of the highest scores, 1 to 20; with TOP_K.',
  threshold: 'The least score that is told, 0 to 1; with ABOVE.',
  epsilon: 'Epsilon of each row, in thousandths; with NOISY.',
  lower: 'The least value, below which values are cut; with NOISY on a regression.',
  upper: 'The largest value, above which values are cut; with NOISY on a regression.',
  budget: 'Epsilon of all rows together, in thousandths; with NOISY.',
  explainK: 'How many columns, 1 to 100; with TOP_K.',
  proof: 'Whether a proof is needed.',
  most: 'How many devices at most; null: as many as the consumer registers.',
  keep: 'For how many days inputs may be kept; 0: not at all.',
  trainOnInputs: 'Whether models may be trained on inputs.',
  trainOnFeedback: 'Whether models may be trained on feedback.',
  latency: 'Milliseconds within which 95 of 100 requests are answered; null: nothing is promised.',
  availability: 'Share of requests that are answered, in hundredths of a per cent; null: nothing is promised.',
  deadline: 'Minutes within which a job is done; null: nothing is promised.',
  credit: 'What is credited of a month’s amount where a promise was not kept, in hundredths of a per cent.',
  currency: 'Three letters (ISO 4217), such as EUR.',
  amount: 'Of 1,000 rows answered, in minor units of the currency, such as cents.',
  months: 'How many months, 1 to 120.',
} as const;

@InputType({ description: 'When an agreement is in force.' })
export class AgreementPeriodInput {
  @Field(() => DateTime, { description: 'The first moment in force.' })
  from: Date;

  @Field(() => DateTime, { description: 'The first moment out of force.' })
  until: Date;
}

@InputType('DisclosureInput', { description: 'What is told of an answer.' })
@ObjectType('Disclosure', { description: 'What is told of an answer.' })
export class Disclosure {
  @Field(() => DisclosureKindEnum, { description: 'The rule.' })
  kind: DisclosureTerm['kind'];

  @Field(() => Int, { nullable: true, description: TEXTS.digits })
  digits?: number | null;

  @Field(() => Int, { nullable: true, description: TEXTS.k })
  k?: number | null;

  @Field(() => Float, { nullable: true, description: TEXTS.threshold })
  threshold?: number | null;

  @Field(() => Int, { nullable: true, description: TEXTS.epsilon })
  epsilonMilliPerRow?: number | null;

  @Field(() => Float, { nullable: true, description: TEXTS.lower })
  lower?: number | null;

  @Field(() => Float, { nullable: true, description: TEXTS.upper })
  upper?: number | null;

  @Field(() => Long, { nullable: true, description: TEXTS.budget })
  budgetMilli?: number | null;
}

@InputType('ExplanationsInput', { description: TEXTS.explanations })
@ObjectType('Explanations', { description: TEXTS.explanations })
export class ExplanationsTerm {
  @Field(() => ExplanationsKindEnum, { description: 'The rule.' })
  kind: Explanations['kind'];

  @Field(() => Int, { nullable: true, description: TEXTS.explainK })
  k?: number | null;
}

@InputType('DevicesInput', { description: TEXTS.devices })
@ObjectType('DevicesTerm', { description: TEXTS.devices })
export class DevicesTerm {
  @Field(() => DeviceProofEnum, { description: TEXTS.proof })
  proof: 'REQUIRED' | 'OPTIONAL';

  @Field(() => Int, { nullable: true, description: TEXTS.most })
  most: number | null;
}

@InputType('DataUseInput', { description: TEXTS.dataUse })
@ObjectType('DataUse', { description: TEXTS.dataUse })
export class DataUse {
  @Field(() => Int, { description: TEXTS.keep })
  keepInputsDays: number;

  @Field(() => Boolean, { description: TEXTS.trainOnInputs })
  trainOnInputs: boolean;

  @Field(() => Boolean, { description: TEXTS.trainOnFeedback })
  trainOnFeedback: boolean;
}

@InputType('DeliveryInput', { description: TEXTS.delivery })
@ObjectType('Delivery', { description: TEXTS.delivery })
export class Delivery {
  @Field(() => Int, { nullable: true, description: TEXTS.latency })
  p95LatencyMs: number | null;

  @Field(() => Int, { nullable: true, description: TEXTS.availability })
  availabilityBasisPoints: number | null;

  @Field(() => Int, { nullable: true, description: TEXTS.deadline })
  jobDeadlineMinutes: number | null;

  @Field(() => Int, { description: TEXTS.credit })
  creditBasisPoints: number;
}

@InputType('PriceInput', { description: TEXTS.price })
@ObjectType('Price', { description: TEXTS.price })
export class Price {
  @Field(() => String, { description: TEXTS.currency })
  currency: string;

  @Field(() => Int, { description: TEXTS.amount })
  minorUnitsPerThousandRows: number;
}

@InputType('RenewalInput', { description: TEXTS.renewal })
@ObjectType('Renewal', { description: TEXTS.renewal })
export class Renewal {
  @Field(() => Int, { description: TEXTS.months })
  months: number;
}

@InputType('TrainingTermInput', { description: 'What may be learned from a dataset version.' })
@ObjectType({ description: 'What may be learned from a dataset version.' })
export class TrainingTerm {
  @Field(() => ID, { description: TEXTS.splitId })
  splitId: string;

  @Field(() => [String], { nullable: true, description: TEXTS.columns })
  columns?: readonly string[] | null;

  @Field(() => Boolean, { description: TEXTS.mayOffer })
  mayOffer: boolean;

  @Field(() => DateTime, { nullable: true, description: TEXTS.offerUntil })
  offerUntil?: Date | null;
}

@InputType({
  description: 'The terms of an offer. What may be left out is then not limited, not allowed or not promised.',
})
export class AgreementTermsInput {
  @Field(() => [PurposeEnum], { description: TEXTS.purposes })
  purposes: Purpose[];

  @Field(() => AgreementPeriodInput, { description: 'When it is in force.' })
  period: AgreementPeriodInput;

  @Field(() => Long, { nullable: true, description: TEXTS.perSecond })
  rowsPerSecond?: number | null;

  @Field(() => Long, { nullable: true, description: TEXTS.perDay })
  rowsPerDay?: number | null;

  @Field(() => Long, { nullable: true, description: TEXTS.perMonth })
  rowsPerMonth?: number | null;

  @Field(() => Long, { nullable: true, description: TEXTS.inTotal })
  rowsInTotal?: number | null;

  @Field(() => Int, { nullable: true, description: TEXTS.concurrent })
  concurrentRequests?: number | null;

  @Field(() => Disclosure, { nullable: true, description: TEXTS.disclosure })
  disclosure?: Disclosure | null;

  @Field(() => TrainingTerm, { nullable: true, description: TEXTS.training })
  training?: TrainingTerm | null;

  @Field(() => [String], { nullable: true, description: TEXTS.regions })
  regions?: string[] | null;

  @Field(() => [ID], { nullable: true, description: TEXTS.applications })
  applications?: string[] | null;

  @Field(() => DevicesTerm, { nullable: true, description: TEXTS.devices })
  devices?: DevicesTerm | null;

  @Field(() => ExplanationsTerm, { nullable: true, description: TEXTS.explanations })
  explanations?: ExplanationsTerm | null;

  @Field(() => DataUse, { nullable: true, description: TEXTS.dataUse })
  dataUse?: DataUse | null;

  @Field(() => Delivery, { nullable: true, description: TEXTS.delivery })
  delivery?: Delivery | null;

  @Field(() => Price, { nullable: true, description: TEXTS.price })
  price?: Price | null;

  @Field(() => Int, { nullable: true, description: TEXTS.noticeDays })
  noticeDays?: number | null;

  @Field(() => Renewal, { nullable: true, description: TEXTS.renewal })
  renewal?: Renewal | null;

  @Field(() => String, { nullable: true, description: TEXTS.governingLaw })
  governingLaw?: string | null;

  @Field(() => String, { nullable: true, description: TEXTS.text })
  text?: string | null;
}

@ObjectType({ description: 'When an agreement is in force.' })
export class AgreementPeriod {
  @Field(() => DateTime, { description: 'The first moment in force.' })
  from: Date;

  @Field(() => DateTime, { description: 'The first moment out of force.' })
  until: Date;
}

@ObjectType({ description: 'The terms of an agreement; `termStatus` says which of them are enforced.' })
export class AgreementTerms {
  @Field(() => [PurposeEnum], { description: TEXTS.purposes })
  purposes: readonly Purpose[];

  @Field(() => AgreementPeriod, { description: 'When it is in force.' })
  period: AgreementPeriod;

  @Field(() => Long, { nullable: true, description: TEXTS.perSecond })
  rowsPerSecond: number | null;

  @Field(() => Long, { nullable: true, description: TEXTS.perDay })
  rowsPerDay: number | null;

  @Field(() => Long, { nullable: true, description: TEXTS.perMonth })
  rowsPerMonth: number | null;

  @Field(() => Long, { nullable: true, description: TEXTS.inTotal })
  rowsInTotal: number | null;

  @Field(() => Int, { nullable: true, description: TEXTS.concurrent })
  concurrentRequests: number | null;

  @Field(() => Disclosure, { nullable: true, description: TEXTS.disclosure })
  disclosure: Disclosure | null;

  @Field(() => TrainingTerm, { nullable: true, description: TEXTS.training })
  training: TrainingTerm | null;

  @Field(() => [String], { nullable: true, description: TEXTS.regions })
  regions: readonly string[] | null;

  @Field(() => [ID], { nullable: true, description: TEXTS.applications })
  applications: readonly string[] | null;

  @Field(() => DevicesTerm, { nullable: true, description: TEXTS.devices })
  devices: DevicesTerm | null;

  @Field(() => ExplanationsTerm, { description: TEXTS.explanations })
  explanations: ExplanationsTerm;

  @Field(() => DataUse, { description: TEXTS.dataUse })
  dataUse: DataUse;

  @Field(() => Delivery, { nullable: true, description: TEXTS.delivery })
  delivery: Delivery | null;

  @Field(() => Price, { nullable: true, description: TEXTS.price })
  price: Price | null;

  @Field(() => Int, { description: TEXTS.noticeDays })
  noticeDays: number;

  @Field(() => Renewal, { nullable: true, description: TEXTS.renewal })
  renewal: Renewal | null;

  @Field(() => String, { nullable: true, description: TEXTS.governingLaw })
  governingLaw: string | null;

  @Field(() => String, { nullable: true, description: TEXTS.text })
  text: string | null;
}

@ObjectType({ description: 'What holds a term.' })
export class AgreementTermStatus {
  @Field(() => TermNameEnum, { description: 'Which term. Only those that are set are listed.' })
  term: TermName;

  @Field(() => TermStatusEnum, { description: 'Whether it is held by more than words.' })
  status: TermStatus;

  @Field(() => String, { description: 'What holds it, or that nothing does.' })
  sentence: string;
}

/** As the service checks it: what is left out or null is absent, so that its default holds; moments are texts. */
export function termsOf({ period, ...terms }: AgreementTermsInput): unknown {
  const dates = { from: period.from.toISOString(), until: period.until.toISOString() };
  const { disclosure, training, delivery, devices } = terms;
  return {
    ...present(terms),
    ...(disclosure ? { disclosure: present(disclosure) } : {}),
    ...(training ? { training: { ...training, ...datesOf(training) } } : {}),
    ...(delivery ? { delivery: { ...NO_PROMISE, ...present(delivery) } } : {}),
    ...(devices ? { devices: { most: null, ...present(devices) } } : {}),
    ...explanationsOf(terms),
    period: dates,
  };
}

const NO_PROMISE = { p95LatencyMs: null, availabilityBasisPoints: null, jobDeadlineMinutes: null };

const datesOf = ({ columns, offerUntil }: TrainingTerm) => ({
  columns: columns ?? null,
  offerUntil: offerUntil?.toISOString() ?? null,
});

const explanationsOf = ({ explanations }: Pick<AgreementTermsInput, 'explanations'>) =>
  explanations ? { explanations: present(explanations) } : {};

/** Without what is null or undefined, one level deep. */
function present(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== null && part !== undefined));
}

/** As GraphQL tells it: moments are dates. */
export function viewOfTerms({ period: { from, until }, training, ...terms }: AgreedTerms): AgreementTerms {
  return {
    ...terms,
    training: training && {
      ...training,
      offerUntil: training.offerUntil === null ? null : new Date(training.offerUntil),
    },
    period: { from: new Date(from), until: new Date(until) },
  };
}
