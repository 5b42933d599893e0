import { Field, ID, Int, ObjectType } from 'type-graphql';
import { DateTime, Long } from '../../platform/graphql.js';
import { RefusalCount, UsageDay } from './usage.types.js';

@ObjectType({
  description: 'How long answers took, from the arrival of the request until its record left for the database.',
})
export class RecordedLatency {
  @Field(() => Int, { description: 'Half of the answers took no longer, in microseconds.' })
  p50Us: number;

  @Field(() => Int, { description: '95 of 100 answers took no longer, in microseconds.' })
  p95Us: number;

  @Field(() => Int, { description: '99 of 100 answers took no longer, in microseconds.' })
  p99Us: number;
}

@ObjectType({ description: 'What was made under one version of the terms in a month, and what it costs.' })
export class StatementVersion {
  @Field(() => Int, { description: 'The version of the terms.' })
  version: number;

  @Field(() => String, { description: 'SHA-256 of the signed document, in hexadecimal.' })
  documentDigestHex: string;

  @Field(() => Int, { description: 'Requests answered.' })
  requests: number;

  @Field(() => Long, { description: 'Rows answered and charged.' })
  rows: number;

  @Field(() => [RefusalCount], { description: 'Requests refused, by code.' })
  refusals: readonly RefusalCount[];

  @Field(() => RecordedLatency, { nullable: true, description: 'Null: nothing was answered.' })
  latency: RecordedLatency | null;

  @Field(() => Int, {
    nullable: true,
    description:
      'Requests answered, of those that were answered or failed at the provider or the platform (ENDPOINT_NOT_READY, INTERNAL), in hundredths of a per cent, rounded down. Null: there were none.',
  })
  availabilityBasisPoints: number | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Whether the promised latency was kept. Null: none was promised, or there is nothing to judge by.',
  })
  isLatencyKept: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      'Whether the promised availability was kept. Null: none was promised, or there is nothing to judge by.',
  })
  isAvailabilityKept: boolean | null;

  @Field(() => Int, { description: 'Batches that ended in the month, each time that one was asked for.' })
  jobs: number;

  @Field(() => Int, {
    nullable: true,
    description:
      'Of those, how many were not over when the promised time was, or failed at the provider or the platform. Null: no time was promised.',
  })
  jobsLate: number | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Whether all were in time. Null: no time was promised, or none ended.',
  })
  isDeadlineKept: boolean | null;

  @Field(() => Long, { nullable: true, description: 'Rows times price, rounded half up to the minor unit.' })
  minorUnits: number | null;

  @Field(() => Long, {
    nullable: true,
    description: 'What of it is credited because a promise was not kept, rounded half up to the minor unit.',
  })
  creditMinorUnits: number | null;
}

@ObjectType({ description: 'What a month comes to in one currency: the sums over the versions.' })
export class StatementAmount {
  @Field(() => String, { description: 'The code of the currency (ISO 4217).' })
  currency: string;

  @Field(() => Long, { description: 'For the rows answered, in minor units.' })
  minorUnits: number;

  @Field(() => Long, { description: 'Credited for promises that were not kept, in minor units.' })
  creditMinorUnits: number;

  @Field(() => Long, { description: 'What is left, in minor units.' })
  dueMinorUnits: number;
}

@ObjectType({ description: 'Entries of the audit log.' })
export class LogRange {
  @Field(() => Long, { description: 'The index of the first.' })
  first: number;

  @Field(() => Long, { description: 'The index of the last.' })
  last: number;
}

@ObjectType({
  description:
    'A month of an agreement, counted from the recorded entries: the same bytes for both parties, who compare the digest.',
})
export class Statement {
  @Field(() => ID, { description: 'The agreement.' })
  agreementId: string;

  @Field(() => String, { description: 'The month in UTC, YYYY-MM.' })
  month: string;

  @Field(() => DateTime, { description: 'The agreement stood from this moment of the month.' })
  from: Date;

  @Field(() => DateTime, { description: 'It stood up to this moment, exclusively, as things stand.' })
  until: Date;

  @Field(() => Boolean, { description: 'The month is over: the figures will not change.' })
  isFinal: boolean;

  @Field(() => Int, { description: 'Requests answered.' })
  requests: number;

  @Field(() => Long, { description: 'Rows answered and charged.' })
  rows: number;

  @Field(() => [RefusalCount], { description: 'Requests refused, by code.' })
  refusals: readonly RefusalCount[];

  @Field(() => [UsageDay], { description: 'By day; days without requests are left out.' })
  days: readonly UsageDay[];

  @Field(() => RecordedLatency, { nullable: true, description: 'Null: nothing was answered.' })
  latency: RecordedLatency | null;

  @Field(() => [StatementVersion], {
    description: 'By version of the terms that was in force in the month; oldest first.',
  })
  versions: readonly StatementVersion[];

  @Field(() => [StatementAmount], { description: 'By currency; empty: the terms have no price.' })
  amounts: readonly StatementAmount[];

  @Field(() => LogRange, {
    nullable: true,
    description: 'The first and the last entry of the audit log that was counted; null: there was none.',
  })
  logIndex: LogRange | null;

  @Field(() => String, { description: 'All figures as canonical JSON (RFC 8785).' })
  json: string;

  @Field(() => String, { description: 'SHA-256 of the UTF-8 bytes of `json`, in hexadecimal.' })
  digestHex: string;

  @Field(() => String, {
    description:
      'The figures as CSV: usage by day, version and outcome; batches, amounts and credits by version; what is due.',
  })
  csv: string;
}
