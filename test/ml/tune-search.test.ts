/** The searches against functions whose least value is known, without any fit. */
import { describe, expect, it } from 'vitest';
import { type Trial } from '../../src/ml/tune.js';
import { type Proposer } from '../../src/ml/tune/propose.js';
import { bestThird } from '../../src/ml/tune/prune.js';
import { halvingSearch, randomSearch } from '../../src/ml/tune/random.js';
import { type Spaces } from '../../src/ml/tune/space.js';
import { type Dimension } from '../../src/ml/tune/space-spec.js';
import { tpeSearch } from '../../src/ml/tune/tpe.js';

interface Problem {
  readonly name: string;
  readonly dimensions: readonly Dimension[];
  readonly loss: (parameters: Trial['parameters']) => number;
  readonly least: number;
}

const float = (parameter: string, low: number, high: number, log = false): Dimension => ({
  parameter,
  kind: 'FLOAT',
  low,
  high,
  log,
});

const PROBLEMS: readonly Problem[] = [
  {
    name: 'Branin',
    dimensions: [float('x', -5, 10), float('y', 0, 15)],
    loss: (p) => {
      const [x, y] = [Number(p['x']), Number(p['y'])];
      const bow = y - (5.1 * x * x) / (4 * Math.PI ** 2) + (5 * x) / Math.PI - 6;
      return bow * bow + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10;
    },
    least: 0.397887,
  },
  {
    name: 'a bowl in six dimensions',
    dimensions: Array.from({ length: 6 }, (_, d) => float(`x${d}`, -1, 1)),
    loss: (p) => Object.values(p).reduce<number>((sum, x, d) => sum + (Number(x) - 0.1 * d) ** 2, 0),
    least: 0,
  },
  {
    name: 'mixed kinds, some by orders of magnitude',
    dimensions: [
      float('rate', 1e-4, 1, true),
      { parameter: 'leaves', kind: 'INT', low: 2, high: 512, log: true },
      { parameter: 'rule', kind: 'CHOICE', values: ['a', 'b', 'c', 'd'] },
      { parameter: 'flag', kind: 'CHOICE', values: [true, false] },
      float('share', 0, 1),
    ],
    loss: (p) =>
      Math.log10(Number(p['rate']) / 0.01) ** 2 +
      Math.log2(Number(p['leaves']) / 32) ** 2 / 8 +
      (p['rule'] === 'c' ? 0 : 1) +
      (p['flag'] === true ? 0 : 0.5) +
      (Number(p['share']) - 0.7) ** 2,
    least: 0,
  },
];

const spacesFor = ({ dimensions }: Problem): Spaces => new Map([['GRADIENT_BOOSTING', { fixed: {}, dimensions }]]);

const ended = (number: number, proposal: ReturnType<Proposer>[number], value: number): Trial => ({
  number,
  algorithm: proposal.algorithm,
  parameters: proposal.parameters,
  members: null,
  state: 'COMPLETE',
  value,
  low: value,
  high: value,
  rung: 0,
  resource: 1,
  curve: [],
  rounds: null,
  latencyMicros: null,
  elapsedMs: 1,
  error: null,
});

/** What is lacking to the least value after so many trials. */
function regret(problem: Problem, propose: Proposer, count: number): number {
  const trials: Trial[] = [];
  while (trials.length < count)
    for (const proposal of propose(trials.slice()))
      trials.push(ended(trials.length, proposal, problem.loss(proposal.parameters)));
  return Math.min(...trials.map(({ value }) => value!)) - problem.least;
}

/** One-sided p of the sign test: how likely so many wins of n would be among equals. */
function signTest(wins: number, n: number): number {
  let p = 0;
  let term = 0.5 ** n;
  for (let k = 0; k <= n; k++) {
    if (k >= wins) p += term;
    term *= (n - k) / (k + 1);
  }
  return p;
}

describe('TPE', () => {
  it.each(PROBLEMS)('comes nearer than random search: $name', (problem) => {
    const seeds = Array.from({ length: 20 }, (_, seed) => seed);
    const spaces = spacesFor(problem);
    const lost = seeds.map((seed) => [
      regret(problem, tpeSearch(spaces, 'RMSE', seed), 64),
      regret(problem, randomSearch(spaces, seed), 64),
    ]);
    const wins = lost.filter(([tpe, random]) => tpe! < random!).length;
    expect(signTest(wins, seeds.length)).toBeLessThan(0.05);
  });
});

describe('ASHA', () => {
  const problem = PROBLEMS[1]!;
  /** Climbs as judge.ts does; a loss at a rung is the last loss and what more resource would gain. */
  const climb = (number: number, proposal: ReturnType<Proposer>[number]): Trial => {
    const full = problem.loss(proposal.parameters);
    const curve: { resource: number; loss: number }[] = [];
    for (const resource of proposal.rungs) {
      curve.push({ resource, loss: full + 0.2 * (1 - resource) });
      const cutoff = proposal.cutoffs.find((cut) => cut.resource === resource);
      if (cutoff !== undefined && curve.at(-1)!.loss > cutoff.loss)
        return { ...ended(number, proposal, 0), state: 'PRUNED', value: null, resource, curve };
    }
    return { ...ended(number, proposal, full), curve };
  };

  it('finds what random search finds, for a fraction of the resource', () => {
    const spaces = spacesFor(problem);
    for (let seed = 0; seed < 5; seed++) {
      const propose = halvingSearch(spaces, seed);
      const trials: Trial[] = [];
      while (trials.length < 120)
        for (const proposal of propose(trials.slice())) trials.push(climb(trials.length, proposal));
      const spent = trials.reduce((sum, { resource }) => sum + resource, 0);
      expect(spent).toBeLessThan(0.3 * trials.length);
      const best = Math.min(...trials.flatMap(({ value }) => value ?? []));
      expect(best - problem.least).toBe(regret(problem, randomSearch(spaces, seed), 120));
    }
  });

  it('lets all go on until it can tell the best third', () => {
    const curve = (loss: number): Trial => ({
      ...ended(0, { algorithm: 'LINEAR', parameters: {}, members: null, rungs: [], cutoffs: [] }, loss),
      curve: [{ resource: 1 / 3, loss }],
    });
    const setting = { algorithm: 'LINEAR' as const, parameters: {} };
    expect(bestThird(setting, [curve(1), curve(2)])).toEqual([]);
    expect(bestThird(setting, [curve(3), curve(1), curve(2)])).toEqual([{ resource: 1 / 3, loss: 1 }]);
    expect(bestThird({ ...setting, algorithm: 'DECISION_TREE' }, [curve(3), curve(1), curve(2)])).toEqual([]);
  });
});
