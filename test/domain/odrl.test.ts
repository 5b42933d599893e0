import { describe, expect, it } from 'vitest';
import { exportOdrl, importOdrl, ODRL_PROFILE, type OdrlPolicy } from '../../src/domain/agreements/odrl.js';
import { parseTerms, TERM_NAMES } from '../../src/domain/agreements/terms.js';
import { PLACES } from '../../src/domain/agreements/odrl.js';

const id = (prefix: string, digit: string) => `${prefix}_${digit.repeat(32)}`;
const LEAST = {
  purposes: ['CREDIT', 'RESEARCH'],
  period: { from: '2030-01-01T00:00:00.000Z', until: '2031-01-01T00:00:00.000Z' },
  disclosure: { kind: 'LABEL_ONLY' },
};
const EVERY = [
  LEAST,
  {
    ...LEAST,
    rowsPerSecond: 1,
    rowsPerDay: 2,
    rowsPerMonth: 3,
    rowsInTotal: 1e12,
    concurrentRequests: 5,
    disclosure: { kind: 'ABOVE', threshold: 0.000001, digits: 0 },
    regions: ['eu-1', 'eu-2'],
    applications: [id('app', '1')],
    devices: { proof: 'REQUIRED', most: null },
    explanations: { kind: 'TOP_K', k: 3 },
    dataUse: { keepInputsDays: 1, trainOnInputs: true, trainOnFeedback: false },
    delivery: { p95LatencyMs: 5, availabilityBasisPoints: null, jobDeadlineMinutes: null, creditBasisPoints: 0 },
    price: { currency: 'EUR', minorUnitsPerThousandRows: 7 },
    noticeDays: 30,
    renewal: { months: 12 },
    governingLaw: 'Portugal',
    text: 'Line one\n"line" two: \\ { } [',
  },
  {
    ...LEAST,
    devices: { proof: 'OPTIONAL', most: 4 },
    disclosure: { kind: 'TOP_K', k: 2, digits: 6 },
  },
  {
    ...LEAST,
    disclosure: { kind: 'NOISY', epsilonMilliPerRow: 5, digits: 1, lower: -1.5, upper: 1e6, budgetMilli: 9 },
  },
  { ...LEAST, disclosure: { kind: 'SCORES', digits: 3 }, explanations: { kind: 'FULL' } },
].map((terms) => parseTerms(terms));
const policyOf = (terms: OdrlPolicy['terms']): OdrlPolicy => ({
  agreementId: id('agr', '1'),
  version: 1,
  isAgreed: false,
  providerTenantId: id('ten', '1'),
  consumerTenantId: id('ten', '2'),
  endpointId: id('end', '1'),
  datasetVersionId: null,
  terms,
});
const write = (terms = EVERY[1]!) =>
  exportOdrl(policyOf(terms)) as Record<string, never> & { permission: object[]; obligation: object[] };
const messageOf = (text: string): string => {
  try {
    importOdrl(text);
    return 'imported';
  } catch (error) {
    expect((error as { code: string }).code).toBe('INVALID_INPUT');
    return (error as Error).message;
  }
};
/** As loose as what a stranger sends. */
interface Loose {
  [name: string]: unknown;
  profile: string;
  assignee: string;
  '@context': [string, { cc: string }];
  permission: [LooseRule, ...LooseRule[]];
  obligation: [LooseRule, ...LooseRule[]];
}
interface LooseRule {
  [name: string]: unknown;
  constraint: [object, ...object[]];
}
/** A policy with one thing changed. */
const broken = (change: (policy: Loose) => unknown): string => {
  const policy = JSON.parse(JSON.stringify(write())) as Loose;
  change(policy);
  return messageOf(JSON.stringify(policy));
};

describe('a policy in ODRL', () => {
  it.each(EVERY.map((terms, i) => [i, terms] as const))('of terms %i is read as it was written', (_, terms) => {
    const text = JSON.stringify(write(terms));
    const read = importOdrl(text);
    expect(read).toEqual({
      terms,
      providerTenantId: id('ten', '1'),
      consumerTenantId: id('ten', '2'),
      endpointId: id('end', '1'),
      datasetVersionId: null,
    });
    expect(JSON.stringify(exportOdrl({ ...policyOf(read.terms) }))).toBe(text);
  });

  it('has a place for every term', () => {
    expect([...new Set(PLACES.map(({ path }) => path.split('.')[0]))].sort()).toEqual([...TERM_NAMES].sort());
  });

  it('speaks ODRL, with a profile of ours', () => {
    expect(write(EVERY[0])).toMatchObject({
      '@type': 'Offer',
      profile: ODRL_PROFILE,
      permission: [{ action: 'cc:predict', constraint: [{ leftOperand: 'purpose', operator: 'isAnyOf' }, {}, {}] }],
    });
  });

  it('is refused by the name of what is unknown', () => {
    const first = (policy: Loose) => policy.permission[0].constraint;
    expect(broken((p) => first(p).push({ leftOperand: 'cc:mood', operator: 'eq', rightOperand: 'good' }))).toContain(
      'the constraint cc:mood eq of cc:predict is unknown',
    );
    expect(
      broken((p) => first(p).push({ leftOperand: 'purpose', operator: 'isNoneOf', rightOperand: ['cc:CREDIT'] })),
    ).toContain('purpose isNoneOf');
    expect(broken((p) => first(p).push(first(p)[0]))).toContain('twice');
    expect(broken((p) => (p.obligation[0].action = 'attribute'))).toContain('the duty attribute is unknown');
    expect(broken((p) => (p.permission[0].action = 'use'))).toContain('the permission use is unknown');
    expect(broken((p) => (p.prohibition = []))).toContain('prohibition');
    expect(broken((p) => (p.permission[0].duty = []))).toContain('duty');
    expect(broken((p) => p.permission.push(p.permission[0]))).toContain('permission');
    expect(broken((p) => (p.obligation[0].target = `urn:concordat:endpoint:${id('end', '2')}`))).toContain(
      'another target',
    );
    expect(broken((p) => (p.profile = 'urn:other'))).toContain('profile');
    expect(broken((p) => (p['@context'][1].cc = 'urn:other#'))).toContain('@context');
    expect(broken((p) => (p.assignee = 'somebody'))).toContain('assignee');
    expect(broken((p) => Object.assign(first(p)[0], { rightOperand: ['cc:ANYTHING'] }))).toContain('purposes');
    expect(broken((p) => Object.assign(first(p)[0], { rightOperand: ['CREDIT'] }))).toContain('the purpose CREDIT');
    expect(
      broken((p) => Object.assign(first(p)[3]!, { rightOperand: { '@value': '1e1', '@type': 'xsd:integer' } })),
    ).toContain('another type');
    expect(
      broken((p) => Object.assign(first(p)[3]!, { rightOperand: { '@value': '1', '@type': 'xsd:string' } })),
    ).toContain('another type');
    expect(broken((p) => Object.assign(first(p)[3]!, { rightOperand: '10' }))).toContain('another type');
    expect(broken((p) => Object.assign(first(p)[3]!, { unit: 'cc:dozen' }))).toContain('unit');
  });

  it('is refused as hostile JSON', () => {
    const text = JSON.stringify(write());
    expect(messageOf('{')).toContain('no JSON');
    expect(messageOf('[]')).toContain('the document');
    expect(messageOf('null')).toContain('the document');
    expect(messageOf('['.repeat(90_000) + ']'.repeat(90_000))).toContain('the document');
    expect(messageOf(`"${'x'.repeat(300_000)}"`)).toContain('longer');
    expect(messageOf(text.replace('"profile"', '"__proto__":{"x":1},"profile"'))).toContain('__proto__');
    expect(messageOf(text.replace('"profile"', '"profile":"urn:other","profile"'))).toContain('two parts of one name');
    expect(messageOf(text.replace('"profile"', '"pro\\u0066ile":"urn:other","profile"'))).toContain(
      'two parts of one name',
    );
    expect(messageOf(text.replace('"lt"', '"constructor"'))).toContain('unknown');
    expect(messageOf(text.replace('"cc:predict"', '"toString"'))).toContain('unknown');
  });
});
