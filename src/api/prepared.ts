import {
  Kind,
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { type CompiledQuery, compileQuery, isCompiledQuery } from 'graphql-jit';
import type { RequestContext } from '../platform/graphql.js';

/** The root fields whose documents are prepared: what is asked so often that the way there counts. */
const PREPARED = new Set(['predict']);
const MOST_DOCUMENTS = 500;
const MOST_ACCEPTS = 100;
const LONGEST_DOCUMENT = 10_000;
const MOST_NAMES = 20;

interface Prepared {
  readonly operation: OperationDefinitionNode;
  readonly run: CompiledQuery<Record<string, unknown>, Record<string, unknown>>['query'];
}

/** Parts of a request over HTTP, as GraphQL over HTTP names them. */
interface Body {
  readonly query?: unknown;
  readonly variables?: unknown;
  readonly operationName?: unknown;
}

export interface PreparedAnswer {
  readonly contentType: string;
  readonly result: ExecutionResult;
}

/**
 * Documents that ask for nothing but a prediction, compiled once (graphql-jit) and kept by their text. The first request with a text
 * goes the long way, through Apollo's parsing, validation and limits, and teaches it here; later ones with the same text and the
 * same header Accept are run at once. Whatever is unusual about a request, wrong variables too, goes the long way again: so there is
 * one place that words errors. The resolvers, and the permissions before them, are the same on both ways.
 */
export class PreparedDocuments {
  /** Least recently taught first. */
  private readonly documents = new Map<string, Prepared>();
  /** The content type that was answered to a header Accept. */
  private readonly contentTypes = new Map<string, string>();

  constructor(private readonly schema: GraphQLSchema) {}

  /** A document that was found good, and its only operation. */
  learn(text: string, document: DocumentNode, operation: OperationDefinitionNode): void {
    if (text.length > LONGEST_DOCUMENT || this.documents.has(text) || !isWanted(document, operation)) return;
    const compiled = compileQuery<Record<string, unknown>, Record<string, unknown>>(
      this.schema,
      document,
      operation.name?.value,
    );
    if (!isCompiledQuery(compiled)) return;
    if (this.documents.size >= MOST_DOCUMENTS) this.documents.delete(this.documents.keys().next().value!);
    this.documents.set(text, { operation, run: compiled.query });
  }

  /** What was answered on the long way to that header. */
  learnAccept(accept: string, contentType: string): void {
    if (this.contentTypes.size >= MOST_ACCEPTS) this.contentTypes.clear();
    this.contentTypes.set(accept, contentType);
  }

  /** Null, before anything was done: this request goes the long way. */
  async run(body: Body, accept: string, context: RequestContext): Promise<PreparedAnswer | null> {
    const contentType = this.contentTypes.get(accept);
    const { query, variables, operationName, ...others } = body;
    const prepared = typeof query === 'string' ? this.documents.get(query) : undefined;
    if (!prepared || contentType === undefined || Object.keys(others).length > 0) return null;
    const { operation, run } = prepared;
    if (operationName != null && operationName !== operation.name?.value) return null;
    if (variables != null && (typeof variables !== 'object' || Array.isArray(variables))) return null;
    const values = (variables ?? {}) as Record<string, unknown>;
    if (!areFew(values)) return null;
    const result = await run(undefined, context, values);
    // Nothing was executed if there are no data, not even null: the variables do not fit.
    return 'data' in result ? { contentType, result } : null;
  }
}

/**
 * Whether so few names are given that it costs nothing to be told of each that it is wrong: what is wrong goes the long way in the end,
 * which looks at the variables with more patience. Columns are one value, whatever they hold.
 */
function areFew(values: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(values);
  return names.length <= MOST_NAMES && names.every((name) => countNames(values[name]) <= MOST_NAMES);
}

function countNames(value: unknown): number {
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
}

/** One operation, a mutation, of prepared fields only, and nothing that decides at run time what is executed. */
function isWanted(document: DocumentNode, operation: OperationDefinitionNode): boolean {
  const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const { selections } = operation.selectionSet;
  return (
    operations.length === 1 &&
    operation.operation === 'mutation' &&
    !operation.directives?.length &&
    selections.every((one) => one.kind === Kind.FIELD && PREPARED.has(one.name.value) && !one.directives?.length)
  );
}
