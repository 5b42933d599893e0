import { describe, expect, it } from 'vitest';
import { ALGORITHM_SPECS, ALGORITHMS, type ParameterSpec, parseParameters } from '../../src/ml/spec.js';

const all = ALGORITHMS.flatMap((algorithm) =>
  ALGORITHM_SPECS[algorithm].parameters.map((spec: ParameterSpec) => ({
    algorithm,
    spec,
    title: `${algorithm}.${spec.name}`,
  })),
);

describe('hyper-parameters', () => {
  it.each(all)('$title describes itself in a sentence and has a default in its range', ({ algorithm, spec }) => {
    expect(spec.description).toMatch(/^[A-Z].{15,}\.$/);
    expect(parseParameters(algorithm, { [spec.name]: spec.default })).toEqual(parseParameters(algorithm, {}));
  });

  it('are plain data with names that occur once', () => {
    expect(JSON.parse(JSON.stringify(ALGORITHM_SPECS))).toEqual(ALGORITHM_SPECS);
    expect(new Set(all.map(({ title }) => title)).size).toBe(all.length);
  });

  it('of one name have one type, so that an API can share them', () => {
    const types = new Map<string, string>();
    for (const { spec } of all)
      expect(types.set(spec.name, types.get(spec.name) ?? spec.type).get(spec.name)).toBe(spec.type);
  });

  it('take what is given and fill in the rest', () => {
    expect(parseParameters('GRADIENT_BOOSTING', { learningRate: 0.3, numLeaves: null })).toMatchObject({
      learningRate: 0.3,
      numLeaves: 31,
      nEstimators: 300,
    });
  });

  it.each([
    ['GRADIENT_BOOSTING', { learningRate: 0 }],
    ['GRADIENT_BOOSTING', { learningRate: NaN }],
    ['GRADIENT_BOOSTING', { learningRate: '0.1' }],
    ['GRADIENT_BOOSTING', { numLeaves: 2.5 }],
    ['GRADIENT_BOOSTING', { numLeaves: 1e9 }],
    ['RANDOM_FOREST', { bootstrap: 1 }],
    ['RANDOM_FOREST', { maxFeatures: 'sqrt' }],
    ['LINEAR', { l2: -1 }],
  ] as const)('%s %o is refused', (algorithm, given) => {
    expect(() => parseParameters(algorithm, given)).toThrow(
      expect.objectContaining({ code: 'BAD_PARAMETER', field: Object.keys(given)[0] }),
    );
  });

  it('of another algorithm are refused', () => {
    expect(() => parseParameters('LINEAR', { numLeaves: 31 })).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_PARAMETER', field: 'numLeaves' }),
    );
  });
});
