import 'reflect-metadata';
import { Kind, GraphQLError, GraphQLScalarType, type ValueNode } from 'graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import {
  ArgsType,
  type ClassType,
  createParameterDecorator,
  createUnionType,
  Field,
  ID,
  Int,
  InterfaceType,
  ObjectType,
  registerEnumType,
} from 'type-graphql';
import { AppError, type BrokenLimit, type LineageKind, type RefusalKind } from './errors.js';
import { jobPayload } from './events.js';
import type { Page } from './page.js';
import type { Scope, SignedIn } from './scope.js';

/** What a resolver may take from the request. `api/context.ts` makes it; the permission check ran before. */
export interface RequestContext {
  /** Null without a credential, or with one for no tenant. */
  readonly scope: Scope | null;
  /** The person, if one is signed in: an API key is none. */
  readonly account: SignedIn | null;
  readonly requestId: string;
  /** The address called from; for limits and the log. */
  readonly address: string;
  /** The address of this platform, without a slash at its end. */
  readonly publicUrl: string;
  /** Puts a session into the browser's cookie, or takes it away with null. */
  keepSession(session: { token: string; expiresAt: Date } | null): void;
}

/** The scope of the request. Present in every resolver that names a tenant permission. */
export function CurrentScope() {
  return createParameterDecorator<RequestContext>(({ context }) => {
    if (!context.scope) throw new AppError('UNAUTHENTICATED', 'This needs a tenant: sign in, and choose one.');
    return context.scope;
  });
}

/** The topic of everything that happens to the job of a subject; a subscription's argument `id` names the subject. */
export function subjectTopic({ args, context }: { args: { id?: string }; context: RequestContext }): string {
  if (!context.scope) throw new AppError('UNAUTHENTICATED', 'This needs a tenant: sign in, and choose one.');
  return jobPayload(context.scope.tenantId, args.id ?? '');
}

/** The signed-in person. Present in every resolver that names `account`. */
export function CurrentAccount() {
  return createParameterDecorator<RequestContext>(({ context }) => {
    if (!context.account) throw new AppError('UNAUTHENTICATED', 'This needs a signed-in person; an API key is none.');
    return context.account;
  });
}

@InterfaceType({
  description:
    'Why something was not done: for a program (`code`), for a person (`message`), and what to do next (`remedy`).',
})
export abstract class Refusal {
  @Field(() => String, { description: 'A stable code; docs/api.md lists them.' })
  code: string;

  @Field(() => String, { description: 'One sentence for a person.' })
  message: string;

  @Field(() => String, { description: 'What to do next.' })
  remedy: string;

  @Field(() => Int, {
    nullable: true,
    description: 'When trying again can succeed, in milliseconds; null if waiting does not help.',
  })
  retryAfterMs: number | null;

  @Field(() => String, { nullable: true, description: 'The path of the input at fault, or null.' })
  field: string | null;
}

@ObjectType({ implements: Refusal, description: 'What was sent cannot be used.' })
export class InputRefusal extends Refusal {}

@ObjectType({
  implements: Refusal,
  description: 'What was asked does not fit the present state; the message says what would.',
})
export class StateRefusal extends Refusal {}

@ObjectType({ implements: Refusal, description: 'A limit is reached: a quota, a rate, a plan.' })
export class LimitRefusal extends Refusal {}

export const LineageKindEnum = enumOf<LineageKind>('LineageKind', 'What stands on a way of data.', {
  DATASET_VERSION: 'A dataset version.',
  AGREEMENT: 'An agreement under which another tenant’s data were learned from.',
  MODEL_VERSION: 'A model version that was trained on what stands before it.',
  ENDPOINT: 'An endpoint that answers by it.',
});

@ObjectType({ description: 'A step on the way from data to what was made of them.' })
export class LineageStep {
  @Field(() => LineageKindEnum, { description: 'What it is.' })
  kind: LineageKind;

  @Field(() => ID, { description: 'Its id.' })
  id: string;
}

export const DataLimitEnum = enumOf<BrokenLimit['limit']>('DataLimit', 'What the limits of data limit.', {
  OFFER: 'Whether what is made of the data may be offered to others at all.',
  PURPOSES: 'What for.',
  REGIONS: 'Where.',
  UNTIL: 'Until when.',
});

@ObjectType({ description: 'A limit of data that forbids something.' })
export class BrokenDataLimit {
  @Field(() => DataLimitEnum, { description: 'Which limit.' })
  limit: BrokenLimit['limit'];

  @Field(() => [LineageStep], {
    description:
      'From the dataset version for which it was declared to the endpoint. Who does not own the data sees the end of it only.',
  })
  path: readonly LineageStep[];
}

@ObjectType({ implements: Refusal, description: 'No agreement in force allows this, or the data behind it forbid it.' })
export class AgreementRefusal extends Refusal {
  @Field(() => BrokenDataLimit, { nullable: true, description: 'With LICENCE_BROKEN: what of the data forbids it.' })
  brokenLimit?: BrokenLimit | null;
}

const REFUSALS: Record<RefusalKind, ClassType<Refusal>> = {
  INPUT: InputRefusal,
  STATE: StateRefusal,
  LIMIT: LimitRefusal,
  AGREEMENT: AgreementRefusal,
};

/** By the name of a result union, which of its members a value is. */
const resultUnions = new Map<string, (value: object) => string>();

/**
 * The result type of a mutation: `XResult = XPayload | InputRefusal | StateRefusal | LimitRefusal | AgreementRefusal`. The resolver
 * returns the payload (an instance of its class) or throws; `api/errors.ts` turns an AppError with a refusal kind into the member.
 */
export function resultOf(payload: ClassType<object>): object {
  const name = payload.name.replace(/Payload$/, 'Result');
  const resolveType = (value: object) => (value instanceof Refusal ? value.constructor.name : payload.name);
  resultUnions.set(name, resolveType);
  return createUnionType({
    name,
    description: `The result of ${name[0]!.toLowerCase()}${name.slice(1, -'Result'.length)}, or why it was refused.`,
    types: () => [payload, InputRefusal, StateRefusal, LimitRefusal, AgreementRefusal] as const,
    resolveType,
  });
}

/** Null: this is no result union. */
export function memberOf(typeName: string): ((value: object) => string) | null {
  return resultUnions.get(typeName) ?? null;
}

/** The union member for an expected refusal, or null for every other error. */
export function refusalOf(error: unknown): Refusal | null {
  if (!(error instanceof AppError) || !error.refusal) return null;
  const { code, message, remedy, retryAfterMs, field, brokenLimit } = error;
  const refusal = Object.assign(new REFUSALS[error.refusal](), { code, message, remedy, retryAfterMs, field });
  return refusal instanceof AgreementRefusal ? Object.assign(refusal, { brokenLimit }) : refusal;
}

/** A GraphQL enum whose values are their own names, each with its sentence. */
export function enumOf<Name extends string>(name: string, description: string, values: Record<Name, string>) {
  const keys = Object.keys(values) as Name[];
  const type = Object.fromEntries(keys.map((key) => [key, key])) as { [K in Name]: K };
  const valuesConfig = Object.fromEntries(keys.map((key) => [key, { description: values[key] }]));
  registerEnumType(type, { name, description, valuesConfig: valuesConfig as never });
  return type;
}

@InterfaceType({ description: 'Anything with an id that is unique across the platform.' })
export abstract class Node {
  @Field(() => ID, { description: 'Opaque and stable.' })
  id: string;
}

/** How `node(id)` finds a thing: by the prefix of its id. Null for missing and for another tenant's. */
export type NodeLoader = (scope: Scope, id: string) => Promise<object | null>;

@ObjectType({ description: 'Where a page stands in its list (Relay).' })
export class PageInfo {
  @Field(() => Boolean, { description: 'Whether there is more after this page.' })
  hasNextPage: boolean;

  @Field(() => Boolean, { description: 'Whether there is more before this page.' })
  hasPreviousPage: boolean;

  @Field(() => String, { nullable: true, description: 'Pass it as `before` to read backwards.' })
  startCursor: string | null;

  @Field(() => String, { nullable: true, description: 'Pass it as `after` to read on.' })
  endCursor: string | null;
}

/** Relay's paging arguments; `platform/page.ts` checks them. */
@ArgsType()
export class PageArgs {
  @Field(() => Int, { nullable: true, description: 'How many at most, 1 to 100; 20 unless told.' })
  first?: number | null;

  @Field(() => String, { nullable: true, description: 'The `endCursor` of the page before.' })
  after?: string | null;
}

/** The Relay connection of a type: `XConnection { edges { cursor node } nodes pageInfo }`. Call it once per type. */
export function connectionOf<T extends object>(node: ClassType<T>): ClassType<Page<T>> {
  @ObjectType(`${node.name}Edge`, { description: `One ${node.name} in its list.` })
  class Edge {
    @Field(() => String, { description: 'Its place in the list.' })
    cursor: string;

    @Field(() => node, { description: `The ${node.name}.` })
    node: T;
  }

  @ObjectType(`${node.name}Connection`, { description: `A page of a list of ${node.name} (Relay).` })
  class Connection {
    @Field(() => [Edge], { description: 'The page with a cursor for each.' })
    edges: Edge[];

    @Field(() => [node], { description: 'The page without cursors.' })
    nodes: T[];

    @Field(() => PageInfo, { description: 'Where this page stands.' })
    pageInfo: PageInfo;
  }
  return Connection;
}

function columnsOf(value: unknown): Record<string, unknown[]> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new GraphQLError('Columns must be an object of arrays.');
  for (const column of Object.values(value))
    if (!Array.isArray(column)) throw new GraphQLError('Every column must be an array.');
  return value as Record<string, unknown[]>;
}

function literal(node: ValueNode): unknown {
  switch (node.kind) {
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((field) => [field.name.value, literal(field.value)]));
    case Kind.LIST:
      return node.values.map(literal);
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.NULL:
      return null;
    case Kind.VARIABLE:
      throw new GraphQLError('Send the whole of Columns as one variable.');
    default:
      return node.value;
  }
}

/** Rows, column by column: what `predict` takes. One scalar, because an object per cell costs seven times as much. */
export const Columns = new GraphQLScalarType<Record<string, unknown[]>, unknown>({
  name: 'Columns',
  description:
    'Rows as named columns of equal length: {"age": [31, 58], "city": ["Lyon", null]}. Values are numbers, strings, booleans or null (missing).',
  specifiedByURL: 'https://concordat.example/scalars/columns',
  serialize: (value) => value,
  parseValue: columnsOf,
  parseLiteral: (node) => columnsOf(literal(node)),
});

/** Only ever answered, never taken. */
export const JsonObject = new GraphQLScalarType<never, object>({
  name: 'JSONObject',
  description: 'A JSON object, as it is.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  serialize: (value) => value as object,
});

/** A moment, to the millisecond, always in UTC. */
export const DateTime = new GraphQLScalarType({
  ...GraphQLDateTime.toConfig(),
  description: 'A moment in UTC, ISO 8601 (RFC 3339): 2026-03-01T12:30:00.000Z.',
  specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time',
  serialize: (value) => (value as Date).toISOString(),
});

/** A whole number beyond GraphQL's 32-bit Int, exact up to 2^53 - 1. */
export const Long = new GraphQLScalarType<number, number>({
  name: 'Long',
  description: 'A whole number between -(2^53 - 1) and 2^53 - 1.',
  specifiedByURL: 'https://concordat.example/scalars/long',
  serialize: wholeNumber,
  parseValue: wholeNumber,
  parseLiteral: (node) => wholeNumber(node.kind === Kind.INT ? Number(node.value) : NaN),
});

function wholeNumber(value: unknown): number {
  if (!Number.isSafeInteger(value))
    throw new GraphQLError('Long must be a whole number between -(2^53 - 1) and 2^53 - 1.');
  return value as number;
}
