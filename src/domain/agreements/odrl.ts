import { AppError } from '../../platform/errors.js';
import { z } from 'zod';
import { type AgreedTerms, parseTerms } from './terms.js';

/** The profile of docs/odrl.md: names of ours are `cc:`. */
export const ODRL_PROFILE = 'urn:concordat:odrl-profile:1';
const CONTEXT = ['http://www.w3.org/ns/odrl.jsonld', { cc: `${ODRL_PROFILE}#` }] as const;
const LONGEST = 200_000;

export interface OdrlPolicy {
  readonly agreementId: string;
  readonly version: number;
  /** Both have signed. */
  readonly isAgreed: boolean;
  readonly providerTenantId: string;
  readonly consumerTenantId: string;
  /** What it is about: the one or the other. */
  readonly endpointId: string | null;
  readonly datasetVersionId: string | null;
  readonly terms: AgreedTerms;
}

type Kind = 'names' | 'purposes' | 'moment' | 'whole' | 'decimal' | 'boolean' | 'name';
/** Where a part of the terms stands in a policy: constraint by constraint, in this order. */
interface Place {
  readonly action: string;
  readonly path: string;
  readonly leftOperand: string;
  readonly operator: 'eq' | 'lteq' | 'gteq' | 'lt' | 'isAnyOf';
  readonly kind: Kind;
}

const place = (action: string, path: string, leftOperand: string, rest: [Place['operator'], Kind]): Place => ({
  action,
  path,
  leftOperand,
  operator: rest[0],
  kind: rest[1],
});
const limits = ['rowsPerSecond', 'rowsPerDay', 'rowsPerMonth', 'rowsInTotal', 'concurrentRequests'];
/** The parts of one term, all under the action that is its duty. */
const parts = (action: string, term: string, kinds: Record<string, Kind>): Place[] =>
  Object.entries(kinds).map(([part, kind]) => place(action, `${term}.${part}`, `cc:${part}`, ['eq', kind]));

const PREDICT = 'cc:predict';
/** The same permission of a dataset version, with what may be learned. */
const TRAIN = 'cc:train';
/** The whole mapping, both ways. What is not here is refused. */
export const PLACES: readonly Place[] = [
  place(PREDICT, 'purposes', 'purpose', ['isAnyOf', 'purposes']),
  place(PREDICT, 'period.from', 'dateTime', ['gteq', 'moment']),
  place(PREDICT, 'period.until', 'dateTime', ['lt', 'moment']),
  ...limits.map((limit) => place(PREDICT, limit, `cc:${limit}`, ['lteq', 'whole'])),
  place(PREDICT, 'regions', 'spatial', ['isAnyOf', 'names']),
  place(PREDICT, 'applications', 'cc:application', ['isAnyOf', 'names']),
  place(PREDICT, 'devices.proof', 'cc:deviceProof', ['eq', 'name']),
  place(PREDICT, 'devices.most', 'cc:devices', ['lteq', 'whole']),
  place(PREDICT, 'training.splitId', 'cc:split', ['eq', 'name']),
  place(PREDICT, 'training.columns', 'cc:column', ['isAnyOf', 'names']),
  place(PREDICT, 'training.mayOffer', 'cc:mayOffer', ['eq', 'boolean']),
  place(PREDICT, 'training.offerUntil', 'cc:offerUntil', ['lt', 'moment']),
  ...parts('cc:disclose', 'disclosure', {
    kind: 'name',
    k: 'whole',
    threshold: 'decimal',
    digits: 'whole',
    epsilonMilliPerRow: 'whole',
    lower: 'decimal',
    upper: 'decimal',
    budgetMilli: 'whole',
  }),
  ...parts('cc:explain', 'explanations', { kind: 'name', k: 'whole' }),
  ...parts('cc:limitDataUse', 'dataUse', {
    keepInputsDays: 'whole',
    trainOnInputs: 'boolean',
    trainOnFeedback: 'boolean',
  }),
  ...parts('cc:deliver', 'delivery', {
    p95LatencyMs: 'whole',
    availabilityBasisPoints: 'whole',
    jobDeadlineMinutes: 'whole',
    creditBasisPoints: 'whole',
  }),
  ...parts('compensate', 'price', { currency: 'name', minorUnitsPerThousandRows: 'whole' }),
  place('cc:giveNotice', 'noticeDays', 'cc:noticeDays', ['eq', 'whole']),
  ...parts('cc:renew', 'renewal', { months: 'whole' }),
  place('cc:inWords', 'governingLaw', 'cc:governingLaw', ['eq', 'name']),
  place('cc:inWords', 'text', 'cc:text', ['eq', 'name']),
];
const ACTIONS = [...new Set(PLACES.map(({ action }) => action))];

/** Duties that speak of answers, of which data give none. */
const SILENT_OF_DATA = ['cc:explain', 'cc:limitDataUse'];

type Json = string | number | boolean | readonly string[] | { '@value': string; '@type': string };
const XSD = { moment: 'xsd:dateTime', whole: 'xsd:integer', decimal: 'xsd:decimal', boolean: 'xsd:boolean' } as const;

function rightOperandOf(kind: Kind, value: unknown): Json {
  if (kind === 'purposes') return (value as string[]).map((name) => `cc:${name}`);
  if (kind === 'names') return value as string[];
  if (kind === 'name') return value as string;
  return { '@value': String(value), '@type': XSD[kind] };
}

/** The terms of a version as an ODRL 2.2 policy in JSON-LD. Terms that are not set are left out. */
export function exportOdrl(policy: OdrlPolicy): object {
  const { agreementId, version, isAgreed, terms } = policy;
  const { endpointId, datasetVersionId } = policy;
  const about = endpointId === null ? `dataset-version:${datasetVersionId}` : `endpoint:${endpointId}`;
  const target = `urn:concordat:${about}`;
  const rules = ACTIONS.flatMap((action) => {
    const constraint = PLACES.filter((one) => one.action === action).flatMap(
      ({ path, leftOperand, operator, kind }) => {
        const [term, part] = path.split('.') as [keyof AgreedTerms, string?];
        const whole = terms[term] as Record<string, unknown> | null;
        const value = part === undefined || whole === null ? whole : whole[part];
        if (value === null || value === undefined) return [];
        return [{ leftOperand, operator, rightOperand: rightOperandOf(kind, value) }];
      },
    );
    const named = action === PREDICT && endpointId === null ? TRAIN : action;
    return constraint.length === 0 || SILENT_OF_DATA.includes(endpointId === null ? action : '')
      ? []
      : [{ target, action: named, constraint }];
  });
  return {
    '@context': CONTEXT,
    '@type': isAgreed ? 'Agreement' : 'Offer',
    uid: `urn:concordat:agreement:${agreementId}:${version}`,
    profile: ODRL_PROFILE,
    assigner: `urn:concordat:tenant:${policy.providerTenantId}`,
    assignee: `urn:concordat:tenant:${policy.consumerTenantId}`,
    permission: rules.slice(0, 1),
    obligation: rules.slice(1),
  };
}

const urn = (kind: string, prefix: string) =>
  z.string().regex(new RegExp(`^urn:concordat:${kind}:${prefix}_[0-9a-f]{32}$`), `is a urn:concordat:${kind}:…`);
const Constraint = z.strictObject({
  leftOperand: z.string().max(100),
  operator: z.string().max(20),
  rightOperand: z.union([
    z.string(),
    z.array(z.string()).max(200),
    z.strictObject({ '@value': z.string().max(100), '@type': z.string().max(40) }),
  ]),
});
const Rule = z.strictObject({
  target: z.union([urn('endpoint', 'end'), urn('dataset-version', 'dsv')]),
  action: z.string().max(100),
  constraint: z.array(Constraint).min(1).max(40),
});
const Policy = z.strictObject({
  '@context': z.tuple([z.literal(CONTEXT[0]), z.strictObject({ cc: z.literal(CONTEXT[1].cc) })]),
  '@type': z.enum(['Offer', 'Agreement']),
  uid: z.string().max(200),
  profile: z.literal(ODRL_PROFILE),
  assigner: urn('tenant', 'ten'),
  assignee: urn('tenant', 'ten'),
  permission: z.tuple([Rule]),
  obligation: z.array(Rule).max(20),
});

export type ImportedOdrl = Pick<
  OdrlPolicy,
  'providerTenantId' | 'consumerTenantId' | 'endpointId' | 'datasetVersionId' | 'terms'
>;

/** Reads a policy of the profile; what the profile does not know is refused by its name. Throws INVALID_INPUT. */
export function importOdrl(text: string): ImportedOdrl {
  const parsed = Policy.safeParse(readJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refused(`${issue!.path.join('.') || 'the document'}: ${issue!.message}`);
  }
  const { assigner, assignee, permission, obligation } = parsed.data;
  const about = permission[0].target.startsWith('urn:concordat:endpoint:') ? 'ENDPOINT' : 'DATASET_VERSION';
  const permitted = about === 'ENDPOINT' ? PREDICT : TRAIN;
  const rules = [...permission, ...obligation];
  const terms: Record<string, unknown> = {};
  const met = new Set<string>();
  for (const [i, { action: named, target, constraint }] of rules.entries()) {
    if (target !== rules[0]!.target) throw refused(`${named} has another target`);
    // In the table the permission has one name; as a duty it has none.
    const action = named === permitted ? PREDICT : named === PREDICT ? '' : named;
    if (!ACTIONS.includes(action) || (named === permitted) !== (i === 0))
      throw refused(`the ${i === 0 ? 'permission' : 'duty'} ${named} is unknown`);
    for (const { leftOperand, operator, rightOperand } of constraint) {
      const found = PLACES.find(
        (one) => one.action === action && one.leftOperand === leftOperand && one.operator === operator,
      );
      if (!found) throw refused(`the constraint ${leftOperand} ${operator} of ${action} is unknown`);
      if (met.has(found.path)) throw refused(`the constraint ${leftOperand} ${operator} of ${action} is there twice`);
      met.add(found.path);
      const [term, part] = found.path.split('.') as [string, string?];
      const value = valueOf(found, rightOperand);
      if (part === undefined) terms[term] = value;
      else Object.assign((terms[term] ??= { ...NULLS[term] }) as object, { [part]: value });
    }
  }
  const id = (name: string) => name.slice(name.lastIndexOf(':') + 1);
  return {
    providerTenantId: id(assigner),
    consumerTenantId: id(assignee),
    endpointId: about === 'ENDPOINT' ? id(rules[0]!.target) : null,
    datasetVersionId: about === 'ENDPOINT' ? null : id(rules[0]!.target),
    terms: parseTerms(terms, about),
  };
}

/** Parts that a policy leaves out when they are not set, and terms spell out. */
const NULLS: Record<string, object> = {
  devices: { most: null },
  training: { columns: null, offerUntil: null },
  delivery: { p95LatencyMs: null, availabilityBasisPoints: null, jobDeadlineMinutes: null },
};

function valueOf({ kind, leftOperand }: Place, value: Json): unknown {
  const wrong = () => refused(`the constraint ${leftOperand} has a right operand of another type`);
  if (kind === 'names' || kind === 'purposes') {
    if (!Array.isArray(value)) throw wrong();
    if (kind === 'names') return value;
    return (value as string[]).map((name) => {
      if (!name.startsWith('cc:')) throw refused(`the purpose ${name} is unknown`);
      return name.slice(3);
    });
  }
  if (kind === 'name') {
    if (typeof value !== 'string') throw wrong();
    return value;
  }
  const typed = value as { '@value'?: string; '@type'?: string };
  const literal = typed['@value'];
  if (typed['@type'] !== XSD[kind] || literal === undefined) throw wrong();
  if (kind === 'moment') return literal;
  if (kind === 'boolean' && (literal === 'true' || literal === 'false')) return literal === 'true';
  const number = Number(literal);
  // One number, one spelling: what is read is what would be written.
  if (kind === 'boolean' || String(number) !== literal) throw wrong();
  return number;
}

/** JSON of a bounded length without repeated names, which programs read differently. */
function readJson(text: string): unknown {
  if (text.length > LONGEST) throw refused(`it is longer than ${LONGEST} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused('it is no JSON');
  }
  const named = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter((match) => match[1] !== undefined).length;
  if (named !== namesIn(value)) throw refused('an object has two parts of one name');
  return value;
}

/** Names in all objects; of what is nested deeper than a policy can be, none are counted. */
function namesIn(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null || depth > 10) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce<number>((sum, part) => sum + namesIn(part, depth + 1), own);
}

function refused(why: string): AppError {
  return new AppError('INVALID_INPUT', `The policy cannot be imported: ${why.slice(0, 300)}.`, {
    field: 'input.document',
    remedy: 'Write it in the profile that docs/odrl.md describes.',
  });
}
