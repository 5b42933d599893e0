import canonicalize from 'canonicalize';
import { describe, expect, it } from 'vitest';
import type { AgreementState, Terms } from '../../src/domain/agreements/agreement.service.js';
import { DEFAULT_TERMS } from '../../src/domain/agreements/terms.js';
import { canonicalAnswer } from '../../src/domain/serving/commitment.js';
import { decide, MAX_ROWS, type Question } from '../../src/domain/serving/decide.js';
import { disclose } from '../../src/domain/serving/disclose.js';
import type { AgreementPolicy, Policy } from '../../src/domain/serving/policy.js';

const NOW = new Date('2030-06-15T12:00:00Z');
const day = (n: number) => new Date(NOW.getTime() + n * 86_400_000);

function agreement(id: string, change: Partial<AgreementPolicy> = {}, terms: Partial<Terms> = {}): AgreementPolicy {
  const [validFrom, validUntil] = [day(-1), day(1)];
  const all: Terms = {
    ...DEFAULT_TERMS,
    purposes: ['CREDIT'],
    period: { from: validFrom.toISOString(), until: validUntil.toISOString() },
    rowsPerDay: 10,
    rowsInTotal: 10,
    disclosure: { kind: 'SCORES', digits: 2 },
    ...terms,
  };
  return {
    id,
    version: 1,
    documentDigest: '0'.repeat(64),
    terms: all,
    state: 'ACTIVE',
    validFrom,
    validUntil,
    ...change,
  };
}

function policy(agreements: AgreementPolicy[], change: Partial<Policy['endpoint']> = {}): Policy {
  const signature = { task: 'binary', classes: ['no', 'yes'], inputs: [] } as const;
  const endpoint = {
    id: 'e',
    tenantId: 'provider',
    name: 'E',
    state: 'READY',
    modelVersionId: 'v',
    modelDigest: null,
    createdAt: NOW,
    routedAt: NOW,
  } as const;
  return {
    endpoint: { ...endpoint, signature: { ...signature, classes: [...signature.classes], inputs: [] }, ...change },
    agreements,
  };
}

function ask(change: Partial<Question>): string {
  const question = {
    tenantId: 'consumer',
    mayPredict: true,
    policy: null,
    agreementId: null,
    purpose: 'CREDIT',
    applicationId: null,
    region: 'local',
    running: () => 0,
    rowCount: 1,
    explain: false,
    device: null,
    now: NOW,
  };
  const decision = decide({ ...question, ...change });
  return decision.admit
    ? `${decision.agreementId} ${decision.disclosure.kind}`
    : `${decision.code} ${decision.agreementId}`;
}

describe('the decision', () => {
  it.each<[string, Partial<Question>, string]>([
    ['no permission', { mayPredict: false, policy: policy([agreement('a')]) }, 'FORBIDDEN null'],
    ['no endpoint', { policy: null }, 'NOT_FOUND null'],
    ['never offered', { policy: policy([]) }, 'NOT_FOUND null'],
    ['own', { tenantId: 'provider', purpose: null, policy: policy([]) }, 'null FULL'],
    ['own, an agreement named', { tenantId: 'provider', agreementId: 'a', policy: policy([]) }, 'NO_AGREEMENT null'],
    ['own, deleted', { tenantId: 'provider', policy: policy([], { state: 'DELETED' }) }, 'NOT_FOUND null'],
    ['in force', { policy: policy([agreement('a')]) }, 'a SCORES'],
    ['the last moment', { policy: policy([agreement('a')]), now: new Date(day(1).getTime() - 1) }, 'a SCORES'],
    ['the first moment after', { policy: policy([agreement('a')]), now: day(1) }, 'AGREEMENT_NOT_IN_FORCE a'],
    ['the first moment', { policy: policy([agreement('a')]), now: day(-1) }, 'a SCORES'],
    [
      'the last moment before',
      { policy: policy([agreement('a')]), now: new Date(day(-1).getTime() - 1) },
      'AGREEMENT_NOT_IN_FORCE a',
    ],
    ['another named', { policy: policy([agreement('a')]), agreementId: 'b' }, 'NO_AGREEMENT null'],
    ['no purpose', { policy: policy([agreement('a')]), purpose: null }, 'PURPOSE_NOT_ALLOWED a'],
    ['unknown purpose', { policy: policy([agreement('a')]), purpose: 'constructor' }, 'PURPOSE_NOT_ALLOWED a'],
    ['another purpose', { policy: policy([agreement('a')]), purpose: 'HEALTH' }, 'PURPOSE_NOT_ALLOWED a'],
    [
      'a purpose above',
      { policy: policy([agreement('a')]), purpose: 'DECISIONS_ABOUT_PERSONS' },
      'PURPOSE_NOT_ALLOWED a',
    ],
    ['no rows', { policy: policy([agreement('a')]), rowCount: 0 }, 'INPUT_INVALID a'],
    ['many rows', { policy: policy([agreement('a')]), rowCount: MAX_ROWS }, 'a SCORES'],
    ['too many rows', { policy: policy([agreement('a')]), rowCount: MAX_ROWS + 1 }, 'TOO_MANY_ROWS a'],
    ['deleted', { policy: policy([agreement('a')], { state: 'DELETED' }) }, 'ENDPOINT_NOT_READY a'],
    [
      'labels of a regression',
      {
        policy: policy([agreement('a', {}, { disclosure: { kind: 'LABEL_ONLY' } })], {
          signature: { task: 'regression', classes: null, inputs: [] },
        }),
      },
      'DISCLOSURE_IMPOSSIBLE a',
    ],
    [
      'the one in force of several',
      {
        policy: policy([agreement('a', { state: 'TERMINATED' }), agreement('b'), agreement('c', { state: 'OFFERED' })]),
      },
      'b SCORES',
    ],
    [
      'the one that allows the purpose',
      { policy: policy([agreement('a', {}, { purposes: ['HEALTH'] }), agreement('b'), agreement('c')]) },
      'b SCORES',
    ],
    ['the one that is named', { policy: policy([agreement('a'), agreement('b')]), agreementId: 'b' }, 'b SCORES'],
    [
      'a named one out of force, though another is in force',
      { policy: policy([agreement('a'), agreement('b', { state: 'SUSPENDED' })]), agreementId: 'b' },
      'AGREEMENT_NOT_IN_FORCE b',
    ],
  ])('%s', (_, change, expected) => {
    expect(ask(change)).toBe(expected);
  });

  it.each<AgreementState>(['OFFERED', 'SUSPENDED', 'TERMINATED', 'EXPIRED', 'WITHDRAWN'])(
    'denies in state %s',
    (state) => {
      expect(ask({ policy: policy([agreement('a', { state })]) })).toBe('AGREEMENT_NOT_IN_FORCE a');
    },
  );
});

describe('disclosure', () => {
  const never = () => {
    throw new Error('No noise is agreed.');
  };
  const classes = ['no', 'yes'];
  const infer = (yes: number) => ({
    labels: [yes >= 0.5 ? 'yes' : 'no'],
    scores: Float32Array.of(1 - yes, yes),
    classes,
    values: null,
  });

  it('makes inputs that the rule makes equal byte-equal', () => {
    for (const digits of [0, 1, 2, 6]) {
      const told = (yes: number) => canonicalAnswer(disclose(infer(yes), { kind: 'SCORES', digits }, never));
      const unit = 10 ** -digits;
      for (let k = 0; k < 5; k++) {
        const [low, high] = [(k - 0.4) * unit, (k + 0.4) * unit].map((x) => Math.min(Math.max(x, 0), 0.49));
        if (Math.round(low! / unit) === Math.round(high! / unit)) expect(told(low!)).toBe(told(high!));
      }
    }
    const label = (yes: number) => JSON.stringify(disclose(infer(yes), { kind: 'LABEL_ONLY' }, never));
    expect(label(0.51)).toBe(label(0.99));
    expect(label(0.51)).not.toContain('0.');
  });

  it('never tells the sign of what it rounds away', () => {
    const values = disclose(
      { labels: null, scores: null, classes: null, values: Float32Array.of(-0.001, 0.001) },
      { kind: 'SCORES', digits: 2 },
      never,
    );
    expect(Object.is(values.values![0], 0)).toBe(true);
    expect(values.values).toEqual([0, 0]);
  });

  it('keeps a class of any name a column', () => {
    const answer = disclose(
      { labels: ['__proto__'], scores: Float32Array.of(1, 0), classes: ['__proto__', 'b'], values: null },
      { kind: 'FULL' },
      never,
    );
    expect(Object.keys(answer.scores!)).toEqual(['__proto__', 'b']);
    expect(JSON.stringify(answer.scores)).toBe('{"__proto__":[1],"b":[0]}');
  });
});

it('commits to answers over canonical JSON', () => {
  const answer = { labels: ['é', '"\\'], scores: { z: [0.25, 1e21], '10': [0.75], '9': [-0] }, values: null };
  expect(canonicalAnswer(answer)).toBe(canonicalize(answer));
  const values = { labels: null, scores: null, values: [1.5] };
  expect(canonicalAnswer(values)).toBe(canonicalize(values));
});
