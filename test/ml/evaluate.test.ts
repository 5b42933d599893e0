import { describe, expect, it } from 'vitest';
import { Pace } from '../../src/ml/core/pace.js';
import { Rng } from '../../src/ml/core/rng.js';
import { averagePrecision, curvesOf, thin } from '../../src/ml/evaluate/curves.js';
import { rank } from '../../src/ml/core/metric.js';
import { makeFolds, NO_PART } from '../../src/ml/evaluate/folds.js';
import { effectOf, pickThreshold, type ThresholdPurpose } from '../../src/ml/evaluate/pick-threshold.js';
import { differenceOf, rateOf, studentPoint } from '../../src/ml/evaluate/rate.js';
import { brierLosses, reliabilityOf } from '../../src/ml/evaluate/reliability.js';
import { residualsOf } from '../../src/ml/evaluate/residuals.js';
import { evaluate, type EvaluationRequest, type EvaluationResult } from '../../src/ml/evaluate.js';
import { TEST, TRAIN, VALIDATION } from '../../src/ml/split.js';
import { type Table, train } from '../../src/ml/train.js';
import { freshSeed, madeTable } from './tables.js';

const pace = new Pace(new AbortController().signal);

/** Scores with ties, related to the classes. */
function scored(rows: number, seed: number): { scores: Float64Array; isPositive: Int32Array } {
  const rng = new Rng(seed);
  const isPositive = Int32Array.from({ length: rows }, () => (rng.float() < 0.3 ? 1 : 0));
  const scores = Float64Array.from(isPositive, (one) =>
    Math.fround(Math.round(50 * Math.min(1, 0.7 * rng.float() + 0.3 * one)) / 50),
  );
  return { scores, isPositive };
}

function counts(scores: Float64Array, isPositive: Int32Array, threshold: number): { tp: number; fp: number } {
  let tp = 0;
  let fp = 0;
  scores.forEach((score, i) => {
    if (score < threshold) return;
    if (isPositive[i] === 1) tp++;
    else fp++;
  });
  return { tp, fp };
}

describe('curves', () => {
  it('have points that counting rows gives, and areas that the points give', async () => {
    const seed = freshSeed();
    const { scores, isPositive } = scored(400, seed);
    const curves = (await curvesOf(scores, isPositive, { most: 200, seed: 1, pace }))!;
    const { positives, negatives, roc, precisionRecall } = curves;
    expect(positives + negatives).toBe(400);
    expect([roc[0], roc.at(-1)]).toMatchObject([
      { x: 0, y: 0 },
      { x: 1, y: 1 },
    ]);
    for (const { threshold, x, y } of roc.slice(1)) {
      const { tp, fp } = counts(scores, isPositive, threshold!);
      expect([x, y], `seed ${seed}`).toEqual([fp / negatives, tp / positives]);
    }
    for (const { threshold, x, y } of precisionRecall) {
      const { tp, fp } = counts(scores, isPositive, threshold!);
      expect([x, y], `seed ${seed}`).toEqual([tp / positives, tp / (tp + fp)]);
    }
    const trapezia = roc.reduce(
      (sum, p, i) => (i === 0 ? 0 : sum + ((p.x - roc[i - 1]!.x) * (p.y + roc[i - 1]!.y)) / 2),
      0,
    );
    expect(curves.auc.value).toBeCloseTo(trapezia, 12);
    const steps = precisionRecall.reduce((sum, p, i) => sum + (p.x - (precisionRecall[i - 1]?.x ?? 0)) * p.y, 0);
    expect(curves.averagePrecision.value).toBeCloseTo(steps, 12);
    for (const { value, low, high } of [curves.auc, curves.averagePrecision]) {
      expect(low).toBeLessThan(value!);
      expect(high).toBeGreaterThan(value!);
    }
  });

  it('are thinned to true points, the ends among them', async () => {
    const rng = new Rng(4);
    const isPositive = Int32Array.from({ length: 20_000 }, () => rng.below(2));
    const scores = Float64Array.from(isPositive, (one) => rng.float() + 0.3 * one);
    const whole = (await curvesOf(scores, isPositive, { most: 1e9, seed: 1, pace }))!;
    const few = (await curvesOf(scores, isPositive, { most: 200, seed: 1, pace }))!;
    for (const name of ['roc', 'precisionRecall'] as const) {
      expect(few[name].length).toBeLessThanOrEqual(200);
      expect(few[name].length).toBeGreaterThan(100);
      const known = new Set(whole[name].map(({ x, y }) => `${x} ${y}`));
      expect(few[name].every(({ x, y }) => known.has(`${x} ${y}`))).toBe(true);
      expect([few[name][0], few[name].at(-1)]).toEqual([whole[name][0], whole[name].at(-1)]);
    }
    expect(few.auc).toEqual(whole.auc);
    expect(thin([], 5)).toEqual([]);
  });

  it('count a row of weight two like two rows', () => {
    const { scores, isPositive } = scored(60, 3);
    const weights = Float64Array.from(scores, (_, i) => i % 3);
    const repeated = Array.from(scores.keys()).flatMap((i) => Array.from({ length: i % 3 }, () => i));
    const own = averagePrecision(rank(scores), isPositive, weights);
    const twin = averagePrecision(
      rank(Float64Array.from(repeated, (i) => scores[i]!)),
      Int32Array.from(repeated, (i) => isPositive[i]!),
      new Float64Array(repeated.length).fill(1),
    );
    expect(own).toBeCloseTo(twin!, 12);
  });

  it('are none of one class', async () => {
    expect(await curvesOf(Float64Array.of(0.1, 0.2), Int32Array.of(1, 1), { most: 9, seed: 1, pace })).toBeNull();
  });
});

describe('a threshold', () => {
  it('is the best that trying all of them finds', () => {
    const seed = freshSeed();
    const { scores, isPositive } = scored(150, seed);
    const positives = isPositive.reduce((sum, one) => sum + one, 0);
    const purposes: ThresholdPurpose[] = [
      { kind: 'MINIMUM_PRECISION', precision: 0.6 },
      { kind: 'MINIMUM_RECALL', recall: 0.8 },
      { kind: 'COST', falsePositive: 1, falseNegative: 4 },
      { kind: 'ALERT_SHARE', share: 0.1 },
    ];
    const worth = (purpose: ThresholdPurpose, threshold: number): number => {
      const { tp, fp } = counts(scores, isPositive, threshold);
      switch (purpose.kind) {
        case 'MINIMUM_PRECISION':
          return tp + fp > 0 && tp / (tp + fp) >= purpose.precision ? tp : -Infinity;
        case 'MINIMUM_RECALL':
          return tp / positives >= purpose.recall ? tp / (tp + fp) : -Infinity;
        case 'COST':
          return -(fp + 4 * (positives - tp));
        case 'ALERT_SHARE':
          return (tp + fp) / scores.length <= purpose.share ? tp : -Infinity;
      }
    };
    for (const purpose of purposes) {
      const threshold = pickThreshold(scores, isPositive, purpose)!;
      const best = Math.max(...[...scores, 2].map((score) => worth(purpose, score)));
      expect(worth(purpose, threshold), `seed ${seed}, ${purpose.kind}`).toBe(best);
      const effect = effectOf(threshold, scores, isPositive, purpose);
      const { tp, fp } = counts(scores, isPositive, threshold);
      expect(effect.recall.value).toBe(tp / positives);
      expect(effect.alertShare.value).toBe((tp + fp) / scores.length);
    }
  });

  it('is none where nothing serves, and above all where nobody should be called', () => {
    const scores = Float64Array.of(0.9, 0.5, 0.25);
    const isPositive = Int32Array.of(0, 1, 0);
    expect(pickThreshold(scores, isPositive, { kind: 'MINIMUM_PRECISION', precision: 0.9 })).toBeNull();
    const none = pickThreshold(scores, isPositive, { kind: 'COST', falsePositive: 10, falseNegative: 1 })!;
    expect(none).toBeGreaterThan(0.9);
  });
});

describe('rates', () => {
  it('have the intervals of Wilson and Newcombe, and the points of Student', () => {
    // Newcombe, "Interval estimation for the difference between independent proportions", 1998: 56/70 and 48/80.
    const [p, q] = [rateOf(56, 70), rateOf(48, 80)];
    expect([p.low, p.high].map((v) => v!.toFixed(4))).toEqual(['0.6918', '0.8770']);
    const difference = differenceOf(p, q);
    expect([difference.low, difference.high].map((v) => v!.toFixed(4))).toEqual(['0.0524', '0.3339']);
    expect(rateOf(0, 0)).toEqual({ value: null, low: null, high: null });
    expect(rateOf(0, 10).low).toBe(0);
    for (const [degrees, point] of [
      [2, 4.303],
      [4, 2.776],
      [9, 2.262],
      [19, 2.093],
    ] as const)
      expect(Math.abs(studentPoint(degrees) / point - 1)).toBeLessThan(0.01);
  });
});

describe('calibration', () => {
  it('is near zero for honest scores, and what it says for others', async () => {
    const rng = new Rng(8);
    const scores = Float64Array.from({ length: 20_000 }, () => rng.float());
    const isTrue = Int32Array.from(scores, (p) => (rng.float() < p ? 1 : 0));
    const losses = scores.map((p, i) => (p - isTrue[i]!) ** 2);
    const honest = await reliabilityOf(scores, isTrue, losses, { bins: 10, seed: 1, pace });
    expect(honest.errorEqualWidth).toBeLessThan(0.02);
    expect(honest.equalWidth).toHaveLength(10);
    expect(honest.equalCount.map((bin) => bin.rows).every((rows) => Math.abs(rows - 2000) < 3)).toBe(true);
    const sure = await reliabilityOf(new Float64Array(100).fill(1), Int32Array.from({ length: 100 }, (_, i) => i % 2), new Float64Array(100), { bins: 10, seed: 1, pace }); // prettier-ignore
    expect(sure.errorEqualWidth).toBe(0.5);
    expect(sure.errorEqualCount).toBe(0.5);
    expect(sure.equalCount).toHaveLength(1);
    expect(brierLosses(Float64Array.of(0.2, 0.8, 0.5, 0.5), 2, Float64Array.of(1, -1))[0]).toBeCloseTo(0.04);
    expect(brierLosses(Float64Array.of(0.2, 0.3, 0.5), 3, Float64Array.of(2))[0]).toBeCloseTo(0.04 + 0.09 + 0.25);
  });
});

describe('residuals', () => {
  it('have the quantiles of actual minus predicted', () => {
    const predicted = Float64Array.from({ length: 101 }, (_, i) => i);
    const actual = predicted.map((value, i) => value + (i - 50));
    const { mean, quantiles, bins } = residualsOf(actual, predicted, 5);
    expect(mean).toBe(0);
    expect(quantiles.map(({ value }) => value)).toEqual([-49, -45, -40, -25, 0, 25, 40, 45, 49]);
    expect(bins.reduce((sum, bin) => sum + bin.rows, 0)).toBe(101);
    expect(bins[0]!.median).toBeLessThan(bins[4]!.median);
  });
});

describe('folds', () => {
  const table = madeTable(300, 5);
  const rows = Uint32Array.from({ length: 290 }, (_, i) => i);
  const testedOnce = (folds: readonly Uint8Array[]): boolean =>
    rows.every((row) => folds.filter((fold) => fold[row] === TEST).length === 1);

  it('test every row once, by parts of equal size', () => {
    const folds = makeFolds(table, rows, { scheme: 'KFOLD', folds: 5, column: null }, 1);
    expect(testedOnce(folds)).toBe(true);
    for (const fold of folds) {
      const size = (part: number): number => fold.filter((one) => one === part).length;
      expect([size(TRAIN), size(VALIDATION), size(TEST), size(NO_PART)]).toEqual([174, 58, 58, 10]);
    }
    expect(makeFolds(table, rows, { scheme: 'KFOLD', folds: 5, column: null }, 1)).toEqual(folds);
    expect(makeFolds(table, rows, { scheme: 'KFOLD', folds: 5, column: null }, 2)).not.toEqual(folds);
  });

  it('keep shares of values, or values together', () => {
    const codes = (table.columns.find((one) => one.name === 'kind') as { codes: Int32Array }).codes;
    const stratified = makeFolds(table, rows, { scheme: 'STRATIFIED', folds: 4, column: 'kind' }, 1);
    expect(testedOnce(stratified)).toBe(true);
    for (const value of [0, 1, 2]) {
      const sizes = stratified.map((fold) => rows.filter((row) => codes[row] === value && fold[row] === TEST).length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
    const days = (table.columns.find((one) => one.name === 'e') as { values: Float64Array }).values;
    const grouped = makeFolds(table, rows, { scheme: 'GROUPED', folds: 4, column: 'e' }, 1);
    expect(testedOnce(grouped)).toBe(true);
    for (const fold of grouped)
      for (const a of rows) for (const b of rows) if (days[a] === days[b]) expect(fold[a]).toBe(fold[b]);
  });

  it('never look into the future', () => {
    const days = (table.columns.find((one) => one.name === 'e') as { values: Float64Array }).values;
    const folds = makeFolds(table, rows, { scheme: 'TIME', folds: 5, column: 'e' }, 1);
    let before = 0;
    for (const fold of folds) {
      const times = (part: number): number[] => [...rows].filter((row) => fold[row] === part).map((row) => days[row]!);
      expect(Math.max(...times(TRAIN))).toBeLessThan(Math.min(...times(VALIDATION)));
      expect(Math.max(...times(VALIDATION))).toBeLessThan(Math.min(...times(TEST)));
      expect(times(TRAIN).length).toBeGreaterThan(before);
      before = times(TRAIN).length;
    }
  });

  it.each([
    ['BAD_PARAMETER', { scheme: 'KFOLD', folds: 2, column: null }],
    ['UNKNOWN_COLUMN', { scheme: 'GROUPED', folds: 3, column: 'nothing' }],
    ['UNKNOWN_COLUMN', { scheme: 'TIME', folds: 3, column: null }],
    ['WRONG_COLUMN_KIND', { scheme: 'TIME', folds: 3, column: 'c' }],
    ['EMPTY_SPLIT', { scheme: 'GROUPED', folds: 8, column: 'd' }],
  ] as const)('are refused with %s', (code, spec) => {
    expect(() => makeFolds(table, rows, spec, 1)).toThrowError(expect.objectContaining({ code }) as Error);
  });
});

describe('an evaluation', () => {
  const table: Table = madeTable(900, 21);
  const assignment = Uint8Array.from({ length: 900 }, (_, i) =>
    i % 5 === 0 ? TEST : i % 5 === 1 ? VALIDATION : TRAIN,
  );
  const spec = (target: string) => ({
    algorithm: 'GRADIENT_BOOSTING' as const,
    task: 'AUTO' as const,
    target,
    features: ['a', 'b', 'c', 'd', 'e'],
    parameters: { nEstimators: 15 },
    seed: 3,
  });
  const signal = new AbortController().signal;
  const run = async (target: string, request: EvaluationRequest, part: 'VALIDATION' | 'TEST' = 'TEST') => {
    const known = spec(target);
    const { fitted, test } = await train(known, table, { assignment, signal, onRound: () => undefined });
    const steps: { fraction: number }[] = [];
    const input = { fitted, against: null, table, assignment, part, spec: known, seed: 3 };
    const result = await evaluate(request, input, { signal, onStep: (step) => void steps.push(step) });
    return { fitted, test, result, steps, input };
  };

  it('of two classes has every section', async () => {
    const request: EvaluationRequest = {
      curves: true,
      calibration: { bins: 5 },
      thresholds: [{ kind: 'ALERT_SHARE', share: 0.2 }],
      groups: { columns: ['c', 'a'] },
      permutationImportance: { repeats: 2 },
      partialDependence: { columns: ['a', 'c', 'd'] },
      shap: { method: 'PATH', rows: 50, examples: 3 },
      crossValidation: { scheme: 'STRATIFIED', folds: 3, column: 'isHigh' },
      learningCurve: { shares: [0.3, 1] },
    };
    const { result, test, steps } = await run('isHigh', request);
    expect(result.task).toBe('binary');
    expect(result.metrics).toEqual(test);
    expect(result.curves).toMatchObject([{ className: 'true' }]);
    expect(result.curves![0]!.auc.value).toBe(test.figures.find(({ name }) => name === 'AUC')!.value);
    expect(result.thresholds![0]!.chosen!.alertShare.value).toBeLessThanOrEqual(0.2);
    expect(result.groups!.map(({ column }) => column)).toEqual(['c', 'a']);
    expect(result.groups![0]!.groups.map(({ rows }) => rows)).toEqual(
      result.groups![0]!.groups.map(({ rows }) => rows).sort((a, b) => b - a),
    );
    expect(result.groups![0]!.groups[1]!.rates[0]!.difference!.value).not.toBeNull();
    expect(result.groups![1]!.groups.map(({ group }) => group![0]!).sort()).toEqual(expect.arrayContaining(['<', '>']));
    expect(result.permutationImportance!.columns.at(-1)!.column).toBe('e');
    expect(result.permutationImportance!.columns[0]!.increase.low).toBeGreaterThan(0);
    const [a, c, d] = result.partialDependence!;
    expect(a!.points[0]!.mean[1]).toBeLessThan(a!.points.filter((p) => p.number !== null).at(-1)!.mean[1]!);
    expect(c!.points.at(-1)).toMatchObject({ text: null, number: null });
    expect(d!.points.map(({ text }) => text)).toEqual(['false', 'true']);
    expect(result.shap!.examples).toHaveLength(3);
    for (const { raw, score, contributions } of result.shap!.examples) {
      expect(contributions).toHaveLength(5);
      expect(1 / (1 + Math.exp(-raw))).toBeCloseTo(score, 6);
    }
    expect(result.crossValidation!.results).toHaveLength(3);
    expect(result.crossValidation!.results.reduce((sum, { metrics }) => sum + metrics.rows, 0)).toBe(720);
    const loss = result.crossValidation!.figures.find(({ name }) => name === 'LOG_LOSS')!;
    expect(loss.low).toBeLessThan(loss.mean);
    expect(result.learningCurve!.map(({ trainRows }) => trainRows)).toEqual([162, 540]);
    expect(steps.map(({ fraction }) => fraction)).toEqual(steps.map(({ fraction }) => fraction).sort((x, y) => x - y));
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it('of several classes and of numbers has the sections that fit, and refuses the others', async () => {
    const several = await run('kind', { curves: true, calibration: { bins: 10 }, shap: { method: 'BACKGROUND', rows: 20, examples: 2 } }); // prettier-ignore
    expect(several.result.curves!.map(({ className }) => className)).toEqual(['low', 'middle', 'top']);
    expect(several.result.shap!.outputs).toEqual(['low', 'middle', 'top']);
    const numbers = await run('amount', { residuals: { bins: 10 }, groups: { columns: ['d'] }, permutationImportance: { repeats: 1 } }, 'VALIDATION'); // prettier-ignore
    expect(numbers.result.residuals!.bins).toHaveLength(10);
    expect(numbers.result.groups![0]!.gaps).toEqual([]);
    expect(numbers.result.permutationImportance!.figure).toBe('RMSE');
    for (const [input, request] of [
      [numbers.input, { curves: true }],
      [numbers.input, { calibration: { bins: 5 } }],
      [several.input, { thresholds: [{ kind: 'ALERT_SHARE', share: 0.1 }] }],
      [several.input, { residuals: { bins: 5 } }],
      [{ ...several.input, spec: null }, { learningCurve: { shares: [1] } }],
    ] as const)
      await expect(evaluate(request, input, { signal, onStep: () => undefined })).rejects.toMatchObject({
        code: 'TASK_DOES_NOT_FIT',
      });
  });

  it('compares two models on the same rows, with a narrower interval than theirs', async () => {
    const { input, fitted, result } = await run('isHigh', {});
    const same = await evaluate({}, { ...input, against: fitted }, { signal, onStep: () => undefined });
    for (const { difference } of same.against!.figures) expect(difference).toEqual({ value: 0, low: 0, high: 0 });
    const weaker = await train({ ...spec('isHigh'), parameters: { nEstimators: 5 } }, table, { assignment, signal, onRound: () => undefined }); // prettier-ignore
    const paired = await evaluate({}, { ...input, against: weaker.fitted }, { signal, onStep: () => undefined });
    const loss = paired.against!.figures.find(({ name }) => name === 'LOG_LOSS')!;
    const alone = result.metrics.figures.find(({ name }) => name === 'LOG_LOSS')!;
    expect(loss.difference.value).toBeCloseTo(loss.value! - loss.against!, 12);
    expect(loss.difference.high! - loss.difference.low!).toBeLessThan(alone.high! - alone.low!);
    const other = await run('amount', {});
    await expect(
      evaluate({}, { ...input, against: other.fitted }, { signal, onStep: () => undefined }),
    ).rejects.toMatchObject({ code: 'TASK_DOES_NOT_FIT' });
  });

  it('is the same for the same seed, and ends when it is cancelled', async () => {
    const request: EvaluationRequest = { permutationImportance: { repeats: 2 }, crossValidation: { scheme: 'KFOLD', folds: 3, column: null } }; // prettier-ignore
    const [one, two] = [await run('isHigh', request), await run('isHigh', request)];
    expect(two.result).toEqual<EvaluationResult>(one.result);
    const stop = new AbortController();
    stop.abort(new Error('Enough.'));
    await expect(evaluate(request, one.input, { signal: stop.signal, onStep: () => undefined })).rejects.toThrow(
      'Enough',
    );
  });

  it('needs the columns of the model, of their kind', async () => {
    const { input } = await run('isHigh', {});
    const without = (name: string): Table => ({ ...table, columns: table.columns.filter((one) => one.name !== name) });
    for (const name of ['a', 'isHigh'])
      await expect(
        evaluate({}, { ...input, table: without(name) }, { signal, onStep: () => undefined }),
      ).rejects.toMatchObject({ code: 'UNKNOWN_COLUMN' });
    const turned = table.columns.map((one) => (one.name === 'c' ? { ...table.columns[0]!, name: 'c' } : one));
    await expect(
      evaluate({}, { ...input, table: { ...table, columns: turned } }, { signal, onStep: () => undefined }),
    ).rejects.toMatchObject({ code: 'WRONG_COLUMN_KIND' });
  });
});
