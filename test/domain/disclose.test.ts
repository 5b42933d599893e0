import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalAnswer } from '../../src/domain/serving/commitment.js';
import { type Answer, disclose } from '../../src/domain/serving/disclose.js';
import type { Disclosed } from '../../src/domain/serving/decide.js';
import { NoiseStream } from '../../src/domain/serving/noise-stream.js';
import type { Inference } from '../../src/ml/infer.js';
import { Rng } from '../../src/ml/core/rng.js';
import { freshSeed } from '../ml/tables.js';

type Draw = () => number;
const rngOf = (seed: number): Draw => {
  const rng = new Rng(seed);
  return () => rng.float();
};
type Disclosure = Exclude<Disclosed, { kind: 'FULL' }>;

const never = (): NoiseStream => {
  throw new Error('Noise was drawn where none is agreed.');
};
const streamOf = (seed: string) => new NoiseStream(createHash('sha256').update(seed).digest());

function classified(
  rows: readonly (readonly number[])[],
  labels?: readonly string[],
  names?: readonly string[],
): Inference {
  const classes = names ?? rows[0]!.map((_, k) => `class ${k}`);
  const best = (row: readonly number[]) => classes[row.indexOf(Math.max(...row))]!;
  return { labels: [...(labels ?? rows.map(best))], scores: Float32Array.from(rows.flat()), classes, values: null };
}

const regressed = (...values: number[]): Inference => ({
  labels: null,
  scores: null,
  classes: null,
  values: Float32Array.from(values),
});

/** The rule, said again without haste: rounded scores by class, of which each rule keeps some. */
function twin({ labels, scores, classes }: Inference, rule: Disclosure): Answer {
  const width = classes!.length;
  const digits = 'digits' in rule ? rule.digits : 0;
  const rows = labels!.map((label, i) =>
    classes!.map((name, k) => ({
      name,
      k,
      isLabel: name === label,
      steps: Math.round(scores![i * width + k]! * 10 ** digits),
    })),
  );
  const kept = rows.map((row) => {
    if (rule.kind === 'SCORES') return row;
    if (rule.kind === 'TOP_K')
      return [...row]
        .sort((a, b) => b.steps - a.steps || Number(b.isLabel) - Number(a.isLabel) || a.k - b.k)
        .slice(0, rule.k);
    if (rule.kind === 'ABOVE')
      return row.filter(
        ({ steps }) => BigInt(steps) * 10n ** BigInt(6 - digits) >= BigInt(Math.round(rule.threshold * 1e6)),
      );
    return [];
  });
  const told = classes!.map((name) => {
    const column = kept.map((row) => {
      const cell = row.find((one) => one.name === name);
      return cell ? cell.steps / 10 ** digits : null;
    });
    return [name, column] as const;
  });
  const scored = told.filter(([, column]) => column.some((score) => score !== null));
  return {
    labels: labels!.map((label, i) =>
      rule.kind !== 'ABOVE' || kept[i]!.some(({ isLabel }) => isLabel) ? label : null,
    ),
    scores: rule.kind === 'LABEL_ONLY' ? null : Object.fromEntries(scored),
    values: null,
  };
}

const pick = <T>(rng: Draw, list: readonly T[]): T => list[Math.floor(rng() * list.length)]!;

function randomRule(rng: Draw, width: number): Disclosure {
  const digits = Math.floor(rng() * 7);
  return pick<Disclosure>(rng, [
    { kind: 'LABEL_ONLY' },
    { kind: 'SCORES', digits },
    { kind: 'TOP_K', k: 1 + Math.floor(rng() * (width + 1)), digits },
    { kind: 'ABOVE', threshold: Math.round(rng() * 10 ** pick(rng, [1, 2, 6])) / 1e6, digits },
    { kind: 'ABOVE', threshold: pick(rng, [0, 0.1, 0.25, 0.3, 0.5, 0.7, 1]), digits },
  ]);
}

/** Scores on a coarse grid, so that ties are common. */
function randomRow(rng: Draw, width: number): number[] {
  const grid = pick(rng, [4, 10, 1e7]);
  return Array.from({ length: width }, () => Math.round(rng() * grid) / grid);
}

describe('what is disclosed', () => {
  it('is what the rule says, of any scores', () => {
    const seed = freshSeed();
    const rng = rngOf(seed);
    for (let round = 0; round < 2000; round++) {
      const width = 2 + Math.floor(rng() * 5);
      const inference = classified(Array.from({ length: 1 + Math.floor(rng() * 4) }, () => randomRow(rng, width)));
      const rule = randomRule(rng, width);
      expect(disclose(inference, rule, never), `seed ${seed}, ${JSON.stringify(rule)}`).toEqual(twin(inference, rule));
    }
  });

  it('is the same to the byte for rows that the rule makes equal, whatever the model said of them', () => {
    const seed = freshSeed();
    const rng = rngOf(seed);
    let changed = 0;
    for (let round = 0; round < 3000; round++) {
      const width = 2 + Math.floor(rng() * 4);
      const row = randomRow(rng, width);
      const rule = randomRule(rng, width);
      const first = classified([row]);
      const told = twin(first, rule);
      // Another row of the same label, of which the slow twin tells the same.
      const other = row.map((score) =>
        rng() < 0.7 ? Math.min(1, Math.max(0, score + (rng() - 0.5) * pick(rng, [0.4, 0.1, 1e-3, 1e-6]))) : score,
      );
      const second = classified([other], told.labels![0] === null ? undefined : [first.labels![0]!]);
      if (JSON.stringify(twin(second, rule)) !== JSON.stringify(told)) continue;
      changed++;
      const answers = [first, second].map((inference) => disclose(inference, rule, never));
      expect(JSON.stringify(answers[1]), `seed ${seed}, ${JSON.stringify({ rule, row, other })}`).toBe(
        JSON.stringify(answers[0]),
      );
      expect(canonicalAnswer(answers[1]!)).toBe(canonicalAnswer(answers[0]!));
    }
    expect(changed).toBeGreaterThan(300);
  });

  it('does not depend on the order of hidden scores', () => {
    const rule = { kind: 'TOP_K', k: 2, digits: 1 } as const;
    const [a, b] = [classified([[0.5, 0.201, 0.199, 0.1]]), classified([[0.5, 0.199, 0.201, 0.1]])];
    expect(disclose(a, rule, never)).toEqual(disclose(b, rule, never));
    expect(disclose(a, rule, never)).toEqual({
      labels: ['class 0'],
      scores: { 'class 0': [0.5], 'class 1': [0.2] },
      values: null,
    });
    // The label comes first among equals, though its class is the last: it is told anyway.
    const last = classified([[0.33, 0.33, 0.34]]);
    expect(disclose(last, { ...rule, k: 1 }, never).scores).toEqual({ 'class 2': [0.3] });
  });

  it('compares with a threshold after rounding, the label too', () => {
    const above = (threshold: number, digits: number, yes: number, labels?: string[]) =>
      disclose(classified([[1 - yes, yes]], labels, ['no', 'yes']), { kind: 'ABOVE', threshold, digits }, never);
    expect(above(0.5, 1, 0.4499)).toEqual({ labels: ['no'], scores: { no: [0.6] }, values: null });
    expect(above(0.5, 1, 0.45001)).toEqual({ labels: ['no'], scores: { no: [0.5], yes: [0.5] }, values: null });
    expect(above(0.7, 2, 0.6949)).toEqual({ labels: [null], scores: {}, values: null });
    expect(above(0.7, 2, 0.6951).scores).toEqual({ yes: [0.7] });
    // A label that the model chose by a threshold of its own would tell that the hidden score reaches it.
    expect(above(0.5, 2, 0.4, ['yes'])).toEqual({ labels: [null], scores: { no: [0.6] }, values: null });
  });

  it('has no score of a row that is no number, no infinity, and no negative zero', () => {
    const odd = classified(
      [
        [NaN, 1],
        [0.3, 0.7],
      ],
      ['b', 'b'],
      ['a', 'b'],
    );
    const rules: Disclosed[] = [
      { kind: 'FULL' },
      { kind: 'SCORES', digits: 2 },
      { kind: 'TOP_K', k: 1, digits: 2 },
      { kind: 'ABOVE', threshold: 0, digits: 2 },
    ];
    for (const rule of rules) expect(disclose(odd, rule, never).scores!['a']?.[0] ?? null).toBeNull();
    for (const rule of [{ kind: 'SCORES', digits: 1 }, { kind: 'FULL' }] as const) {
      const { values } = disclose(regressed(NaN, Infinity, -Infinity, -0, -0.01, 3e38), rule, never);
      expect(values!.slice(0, 3)).toEqual([null, null, null]);
      expect(Object.is(values![3], 0)).toBe(true);
      if (rule.kind === 'SCORES') expect(Object.is(values![4], 0)).toBe(true);
      expect(values![5]).toBeGreaterThan(2e38);
    }
  });

  it('has classes of any name', () => {
    const names = ['__proto__', 'constructor', 'toString'];
    const rules: Disclosed[] = [
      { kind: 'FULL' },
      { kind: 'TOP_K', k: 3, digits: 1 },
      { kind: 'TOP_K', k: 2, digits: 1 },
    ];
    for (const rule of rules) {
      const { scores } = disclose(classified([[0.6, 0.3, 0.1]], undefined, names), rule, never);
      expect(Object.keys(scores!)).toEqual(rule.kind === 'TOP_K' && rule.k === 2 ? names.slice(0, 2) : names);
      expect(Object.hasOwn(scores!, '__proto__')).toBe(true);
      expect(JSON.stringify(scores)).toMatch(/^\{"__proto__":\[0\.6/);
    }
  });

  it('of a regression is nothing but its rounded or noisy values', () => {
    for (const rule of [
      { kind: 'LABEL_ONLY' },
      { kind: 'TOP_K', k: 1, digits: 2 },
      { kind: 'ABOVE', threshold: 0, digits: 2 },
      { kind: 'NOISY', epsilonMilliPerRow: 1000, digits: 1, budgetMilli: 1e6 },
    ] as const)
      expect(disclose(regressed(1, 2), rule, () => streamOf('a'))).toEqual({
        labels: null,
        scores: null,
        values: null,
      });
  });
});

describe('noisy answers', () => {
  const rule = { kind: 'NOISY', epsilonMilliPerRow: 2000, digits: 2, budgetMilli: 1e9 } as const;
  const rows = Array.from({ length: 200 }, (_, i) => [0.9 - i / 1000, 0.1 + i / 1000]);

  it('are the same for the same stream, and others for another', () => {
    const told = (seed: string) => JSON.stringify(disclose(classified(rows), rule, () => streamOf(seed)));
    expect(told('a')).toBe(told('a'));
    expect(told('a')).not.toBe(told('b'));
  });

  it('tell a label and, on the grid, the score of its class alone', () => {
    const { labels, scores } = disclose(classified(rows), rule, () => streamOf('grid'));
    labels!.forEach((label, i) => {
      for (const [name, column] of Object.entries(scores!)) {
        if (name !== label) expect(column[i]).toBeNull();
        else {
          expect(Math.round(column[i]! * 100) / 100).toBe(column[i]);
          expect(column[i]).toBeGreaterThanOrEqual(0);
          expect(column[i]).toBeLessThanOrEqual(1);
        }
      }
    });
    expect(new Set(labels)).toEqual(new Set(['class 0', 'class 1']));
    expect(disclose(classified(rows), { ...rule, digits: 0 }, () => streamOf('grid')).scores).toBeNull();
  });

  it('draw as much for any row, so that noise of one says nothing of another', () => {
    // The numbers of the last row are those of the same place in the stream, whatever the rows before.
    const last = (first: number) => {
      const inference = classified([
        [first, 1 - first],
        [0.2, 0.8],
      ]);
      return disclose(inference, rule, () => streamOf('place')).labels![1];
    };
    expect([0, 0.3, 0.7, 1].map(last)).toEqual(new Array(4).fill(last(0.5)));
  });

  it('of a regression lie on the grid within the bounds, whatever the value', () => {
    const bounded = {
      kind: 'NOISY',
      epsilonMilliPerRow: 5000,
      digits: 1,
      lower: -2,
      upper: 3.3,
      budgetMilli: 1e9,
    } as const;
    const values = [NaN, Infinity, -Infinity, 1e30, -2, 3.3, ...Array.from({ length: 300 }, (_, i) => i / 50 - 3)];
    const told = disclose(regressed(...values), bounded, () => streamOf('values')).values!;
    for (const value of told) {
      expect(Math.round(value! * 10) / 10).toBe(value);
      expect(value).toBeGreaterThanOrEqual(-2);
      expect(value).toBeLessThanOrEqual(3.3);
    }
    const error = told.slice(6).map((value, i) => Math.abs(value! - Math.min(Math.max(values[i + 6]!, -2), 3.3)));
    const mean = error.reduce((a, b) => a + b) / error.length;
    // Scale 5.3 / 5 before the cut.
    expect(mean).toBeGreaterThan(0.3);
    expect(mean).toBeLessThan(1.1);
  });
});
