import { describe, expect, it } from 'vitest';
import type { AgreementState, Purpose, Terms } from '../../src/domain/agreements/agreement.service.js';
import { disclosureMisfit, DEFAULT_TERMS, type Disclosure } from '../../src/domain/agreements/terms.js';
import { DISCLOSURE_ENFORCEMENT } from '../../src/domain/agreements/enforcement.js';
import { PURPOSES } from '../../src/domain/agreements/purpose.js';
import { Running } from '../../src/domain/serving/concurrency.js';
import { decide, type Question } from '../../src/domain/serving/decide.js';
import type { AgreementPolicy, Policy } from '../../src/domain/serving/policy.js';
import { Rng } from '../../src/ml/core/rng.js';

/*
 * The slow, obvious twin of the decision: a list of sentences, each with what must hold, written from docs/agreements.md and not from
 * the code. For an agreement every sentence is true or not; the decision must name the agreement for which all are, or the first
 * sentence that leaves none.
 */
const HOUR = 3_600_000;
const START = Date.parse('2030-06-15T12:00:00Z');

type Sentence = readonly [code: string, holds: (agreement: AgreementPolicy, question: Question) => boolean];

const AGREEMENT_SENTENCES: readonly Sentence[] = [
  ['NO_AGREEMENT', ({ id }, { agreementId }) => agreementId === null || agreementId === id],
  [
    'AGREEMENT_NOT_IN_FORCE',
    ({ state, validFrom, validUntil }, { now }) =>
      state === 'ACTIVE' && validFrom.getTime() <= now.getTime() && now.getTime() < validUntil.getTime(),
  ],
  [
    'PURPOSE_NOT_ALLOWED',
    ({ terms }, { purpose }) => terms.purposes.some((allowed) => above(purpose).includes(allowed)),
  ],
  [
    'APPLICATION_NOT_ALLOWED',
    ({ terms }, { applicationId }) =>
      terms.applications === null || terms.applications.some((id) => id === applicationId),
  ],
  [
    'REGION_NOT_ALLOWED',
    ({ terms }, { region }) => terms.regions === null || terms.regions.some((one) => one === region),
  ],
];

/** The purpose and all those that it stands under. */
function above(purpose: string | null): string[] {
  if (purpose === null || !Object.keys(PURPOSES).includes(purpose)) return [];
  return [purpose, ...above(PURPOSES[purpose as Purpose].under)];
}

function slowly(question: Question): string {
  const { policy, tenantId, rowCount } = question;
  if (!question.mayPredict) return 'FORBIDDEN';
  if (policy === null) return 'NOT_FOUND';
  const isReady = policy.endpoint.state === 'READY';
  let rule: Disclosure | null = null;
  let chosen: AgreementPolicy | null = null;
  if (policy.endpoint.tenantId === tenantId) {
    if (!isReady) return 'NOT_FOUND';
    if (question.agreementId !== null) return 'NO_AGREEMENT';
    if (question.purpose !== null && above(question.purpose).length === 0) return 'PURPOSE_NOT_ALLOWED';
  } else {
    if (policy.agreements.length === 0) return 'NOT_FOUND';
    for (let upTo = 1; upTo <= AGREEMENT_SENTENCES.length; upTo++) {
      const sentences = AGREEMENT_SENTENCES.slice(0, upTo);
      if (!policy.agreements.some((one) => sentences.every(([, holds]) => holds(one, question))))
        return sentences.at(-1)![0];
    }
    chosen = policy.agreements.find((one) => AGREEMENT_SENTENCES.every(([, holds]) => holds(one, question)))!;
    rule = chosen.terms.disclosure;
    const { devices } = chosen.terms;
    const shown = question.device ?? null;
    if (devices !== null && shown !== null && !shown.agreementIds.has(chosen.id)) return 'DEVICE_NOT_ADMITTED';
    if (devices !== null && shown === null && devices.proof === 'REQUIRED') return 'PROOF_REQUIRED';
  }
  if (!isReady) return 'ENDPOINT_NOT_READY';
  if (rowCount < 1) return 'INPUT_INVALID';
  if (rowCount > 10_000) return 'TOO_MANY_ROWS';
  if (rule) {
    const isBuilt = DISCLOSURE_ENFORCEMENT[rule.kind].status === 'ENFORCED';
    if (!isBuilt || disclosureMisfit(rule, policy.endpoint.signature.task) !== null) return 'DISCLOSURE_IMPOSSIBLE';
  }
  if (question.explain) {
    const isAllowed = chosen === null || (chosen.terms.explanations.kind !== 'NONE' && rule?.kind !== 'NOISY');
    if (!isAllowed) return 'EXPLANATION_NOT_ALLOWED';
    if (rowCount > 100) return 'TOO_MANY_ROWS';
  }
  const most = chosen?.terms.concurrentRequests ?? null;
  if (chosen && most !== null && question.running(chosen.id) >= most) return 'CONCURRENCY_EXCEEDED';
  return `${chosen?.id ?? null} ${rule?.kind ?? 'FULL'} ${most !== null}`;
}

function quickly(question: Question): string {
  const decision = decide(question);
  if (!decision.admit) return decision.code;
  return `${decision.agreementId} ${decision.disclosure.kind} ${decision.counts}`;
}

/** Small worlds, so that everything meets everything else: two of each kind of thing. */
class Worlds {
  constructor(private readonly rng: Rng) {}

  question(): Question {
    const counts = { a: this.whole(3), b: this.whole(3), c: this.whole(3) } as Record<string, number>;
    return {
      tenantId: this.one(['consumer', 'consumer', 'consumer', 'provider']),
      mayPredict: !this.seldom(),
      policy: this.seldom() ? null : this.policy(),
      agreementId: this.one([null, null, 'a', 'b', 'd']),
      purpose: this.one(['CREDIT', 'CREDIT', 'HEALTH', 'DECISIONS_ABOUT_PERSONS', 'FORECASTING', 'toString', null]),
      applicationId: this.one([null, 'app_1', 'app_1', 'app_2']),
      device: this.one([null, null, { agreementIds: new Set(['a']) }, { agreementIds: new Set(['b', 'c']) }]),
      region: this.one(['local', 'eu', 'us']),
      running: (id) => counts[id] ?? 0,
      rowCount: this.one([1, 1, 1, 0, 100, 101, 10_000, 10_001]),
      explain: this.whole(4) === 0,
      now: new Date(START + this.whole(7) * HOUR),
    };
  }

  private policy(): Policy {
    const task = this.one(['binary', 'binary', 'multiclass', 'regression'] as const);
    return {
      endpoint: {
        id: 'e',
        tenantId: 'provider',
        name: 'E',
        state: this.seldom() ? 'DELETED' : 'READY',
        modelVersionId: 'v',
        createdAt: new Date(START),
        routedAt: new Date(START),
        signature: { task, classes: task === 'regression' ? null : ['no', 'yes'], inputs: [] },
      },
      agreements: ['a', 'b', 'c'].slice(0, this.whole(4)).map((id) => this.agreement(id)),
    } as unknown as Policy;
  }

  private agreement(id: string): AgreementPolicy {
    const from = this.whole(4);
    const states: readonly AgreementState[] = ['ACTIVE', 'ACTIVE', 'ACTIVE', 'SUSPENDED', 'OFFERED', 'TERMINATED'];
    const validFrom = new Date(START + from * HOUR);
    const validUntil = new Date(START + (from + 1 + this.whole(4)) * HOUR);
    const terms: Terms = {
      ...DEFAULT_TERMS,
      purposes: this.one<Purpose[]>([['CREDIT'], ['DECISIONS_ABOUT_PERSONS'], ['HEALTH', 'OPERATIONS']]),
      period: { from: validFrom.toISOString(), until: validUntil.toISOString() },
      concurrentRequests: this.one([null, null, 1, 2]),
      explanations: this.one([{ kind: 'NONE' }, { kind: 'TOP_K', k: 1 }, { kind: 'FULL' }] as const),
      regions: this.one([null, null, ['eu'], ['eu', 'local']]),
      applications: this.one([null, null, ['app_1'], ['app_1', 'app_2']]),
      devices: this.one([null, null, { proof: 'REQUIRED', most: null }, { proof: 'OPTIONAL', most: 5 }] as const),
      disclosure: this.one<Disclosure>([
        { kind: 'SCORES', digits: 2 },
        { kind: 'SCORES', digits: 0 },
        { kind: 'LABEL_ONLY' },
        { kind: 'TOP_K', k: 1, digits: 2 },
        { kind: 'ABOVE', threshold: 0.5, digits: 2 },
        { kind: 'NOISY', epsilonMilliPerRow: 1, digits: 1, budgetMilli: 10 },
      ]),
    };
    return { id, terms, state: this.one(states), validFrom, validUntil } as unknown as AgreementPolicy;
  }

  private whole(below: number): number {
    return Math.floor(this.rng.float() * below);
  }

  private one<T>(of: readonly T[]): T {
    return of[this.whole(of.length)]!;
  }

  private seldom(): boolean {
    return this.whole(12) === 0;
  }
}

describe('the decision and its twin', () => {
  it('agree on 20,000 random questions, and every answer is seen', () => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    const worlds = new Worlds(new Rng(seed));
    const seen = new Set<string>();
    for (let i = 0; i < 20_000; i++) {
      const question = worlds.question();
      const answer = slowly(question);
      if (quickly(question) !== answer)
        expect({ seed, question, answer: quickly(question) }, 'SEED repeats it').toMatchObject({ answer });
      seen.add(/^[A-Z_]+$/.test(answer) ? answer : answer.split(' ').slice(1).join(' '));
    }
    for (const [code] of AGREEMENT_SENTENCES) expect(seen).toContain(code);
    const others = [
      'FORBIDDEN',
      'NOT_FOUND',
      'ENDPOINT_NOT_READY',
      'INPUT_INVALID',
      'TOO_MANY_ROWS',
      'PROOF_REQUIRED',
      'DEVICE_NOT_ADMITTED',
    ];
    for (const code of [
      ...others,
      'DISCLOSURE_IMPOSSIBLE',
      'EXPLANATION_NOT_ALLOWED',
      'CONCURRENCY_EXCEEDED',
      'SCORES true',
      'FULL false',
    ])
      expect(seen).toContain(code);
  });

  it('counts requests under way until they are over, once each', () => {
    const running = new Running();
    const [first, second] = [running.begin('a'), running.begin('a')];
    expect([running.count('a'), running.count('b')]).toEqual([2, 0]);
    first();
    first();
    expect(running.count('a')).toBe(1);
    second();
    expect(running.count('a')).toBe(0);
  });
});
