import {
  type ASTVisitor,
  type FieldNode,
  type FragmentDefinitionNode,
  getNamedType,
  GraphQLError,
  type GraphQLObjectType,
  isCompositeType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';
import { AppError } from '../platform/errors.js';

/** How much one request may ask for. What predicting 10,000 rows takes fits; what is asked in order to hurt does not. */
export const LIMITS = {
  bodyBytes: 8 * 2 ** 20,
  /** Of a request without a credential: signing in and introspection need a few thousand. */
  strangersBodyBytes: 64 * 2 ** 10,
  /** Of a document; GraphiQL's introspection has about 500. */
  tokens: 4000,
  depth: 16,
  aliases: 40,
  rootFields: 20,
  /** Objects and values that could be answered, were every page full. */
  cost: 20_000,
  /** From the last byte of the request to the first of the answer. */
  executionMs: 30_000,
  /** From the first byte to the last of the headers. */
  headersMs: 15_000,
  /** Of a body that was refused: read so that its sender gets to see the answer. */
  drainedBytes: 32 * 2 ** 20,
  drainedMs: 2000,
  /** Without a byte in either direction. */
  idleMs: 120_000,
  socketsPerCredential: 20,
  subscriptionsPerSocket: 100,
} as const;

/** Fields of which an operation has one at most, whatever their aliases. */
const ONCE = new Set(['predict', 'signIn', 'acceptInvitation', 'changePassword']);
const PAGE = 20;
const MOST_IN_PAGE = 100;
/** A list that is no page: bounded by nature. */
const LIST = 10;

interface Measure {
  cost: number;
  depth: number;
  aliases: number;
}

/**
 * One validation rule for depth, aliases, root fields and cost, before anything runs. A fragment is measured once, so that
 * fragments within fragments cost the server nothing; introspection costs nothing but has depth.
 */
export function limitRule(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition: (operation) => {
      const refuse = (message: string) =>
        context.reportError(
          new GraphQLError(message, { nodes: operation, originalError: new AppError('TOO_COMPLEX', message) }),
        );
      const root = rootType(context, operation);
      if (!root) return;
      const roots = rootFields(context, operation.selectionSet, new Set());
      if (roots.length > LIMITS.rootFields) refuse(`An operation has ${LIMITS.rootFields} root fields at most.`);
      for (const name of ONCE)
        if (roots.filter((field) => field.name.value === name).length > 1)
          refuse(`An operation has one ${name} at most.`);
      const { cost, depth, aliases } = new Measurer(context).measure(operation.selectionSet, root);
      if (depth > LIMITS.depth) refuse(`A selection is ${LIMITS.depth} fields deep at most.`);
      if (aliases > LIMITS.aliases) refuse(`An operation has ${LIMITS.aliases} aliases at most.`);
      if (cost > LIMITS.cost) refuse(`This could answer ${cost} values; ${LIMITS.cost} is the most.`);
    },
  };
}

function rootType(context: ValidationContext, operation: OperationDefinitionNode) {
  return context.getSchema().getRootType(operation.operation);
}

/** Each fragment once, as execution collects them: followed at every spread, thirty fragments would take minutes. */
function rootFields(context: ValidationContext, selections: SelectionSetNode, seen: Set<string>): FieldNode[] {
  return selections.selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection];
    if (selection.kind === Kind.INLINE_FRAGMENT) return rootFields(context, selection.selectionSet, seen);
    const name = selection.name.value;
    const fragment = context.getFragment(name);
    if (!fragment || seen.has(name)) return [];
    seen.add(name);
    return rootFields(context, fragment.selectionSet, seen);
  });
}

class Measurer {
  private readonly fragments = new Map<string, Measure>();
  private readonly open = new Set<string>();

  constructor(private readonly context: ValidationContext) {}

  measure(selections: SelectionSetNode, parent: unknown): Measure {
    const total: Measure = { cost: 0, depth: 0, aliases: 0 };
    for (const selection of selections.selections) {
      let part: Measure;
      if (selection.kind === Kind.FIELD) part = this.field(selection, parent);
      else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const on = selection.typeCondition && this.context.getSchema().getType(selection.typeCondition.name.value);
        part = this.measure(selection.selectionSet, on ?? parent);
      } else part = this.fragment(this.context.getFragment(selection.name.value));
      total.cost += part.cost;
      total.aliases += part.aliases;
      total.depth = Math.max(total.depth, part.depth);
    }
    return total;
  }

  private fragment(fragment: FragmentDefinitionNode | null | undefined): Measure {
    const nothing = { cost: 0, depth: 0, aliases: 0 };
    if (!fragment) return nothing;
    const name = fragment.name.value;
    const known = this.fragments.get(name);
    if (known) return known;
    // A circle is another rule's to report.
    if (this.open.has(name)) return nothing;
    this.open.add(name);
    const type = this.context.getSchema().getType(fragment.typeCondition.name.value);
    const measured = this.measure(fragment.selectionSet, type);
    this.open.delete(name);
    this.fragments.set(name, measured);
    return measured;
  }

  private field(node: FieldNode, parent: unknown): Measure {
    const name = node.name.value;
    const field = isObjectType(parent) || hasFields(parent) ? parent.getFields()[name] : undefined;
    const type = field ? getNamedType(field.type) : undefined;
    const inner = node.selectionSet
      ? this.measure(node.selectionSet, isCompositeType(type) ? type : null)
      : { cost: 0, depth: 0, aliases: 0 };
    const times = !field || name.startsWith('__') ? 1 : this.times(node, field);
    return {
      cost: name.startsWith('__') ? 0 : 1 + times * inner.cost,
      depth: 1 + inner.depth,
      aliases: inner.aliases + (node.alias ? 1 : 0),
    };
  }

  /** How often the selection below the field is answered: the size of the page, a guess for plain lists (but a page's own lists count once). */
  private times(node: FieldNode, field: { type: unknown; args: readonly { name: string }[] }): number {
    if (field.args.some((arg) => arg.name === 'first')) {
      const value = node.arguments?.find((arg) => arg.name.value === 'first')?.value;
      if (value?.kind === Kind.INT) return Math.min(MOST_IN_PAGE, Math.max(1, Number(value.value)));
      return value?.kind === Kind.VARIABLE ? MOST_IN_PAGE : PAGE;
    }
    if (node.name.value === 'edges' || node.name.value === 'nodes') return 1;
    return /\[/.test(String(field.type)) ? LIST : 1;
  }
}

function hasFields(type: unknown): type is Pick<GraphQLObjectType, 'getFields'> {
  return typeof (type as { getFields?: unknown } | null)?.getFields === 'function';
}
