import { expect, it } from 'vitest';
import { writeAnswer } from '../../src/api/open-inference-answer.js';
import type { InferenceRequest } from '../../src/api/open-inference-request.js';
import type { Prediction } from '../../src/domain/serving/predict.service.js';

const request = { id: null, outputs: null, binary: false } as unknown as InferenceRequest;
const told = (change: Partial<Prediction>) => {
  const signature = { task: 'multiclass', classes: ['__proto__', 'constructor', 'c'], inputs: [] };
  const prediction = {
    rowCount: 2,
    labels: null,
    scores: null,
    values: null,
    logIndex: 0,
    latencyMs: 0,
    escapedReceipt: '{}',
    at: new Date(0),
    signature,
    ...change,
  };
  const { body } = writeAnswer('m', request, prediction as unknown as Prediction);
  return (JSON.parse(body as string) as { outputs: { name: string; data: unknown }[] }).outputs.map(({ data }) => data);
};

it('has the empty text and null in place of what is not told, whatever classes are called', () => {
  const scores = { c: [0.75, null] };
  expect(told({ labels: ['c', null], scores })).toEqual([
    ['c', ''],
    [null, null, 0.75, null, null, null],
  ]);
  expect(told({ labels: ['c', 'c'], scores: {} })[1]).toEqual(new Array(6).fill(null));
  expect(told({ values: [1.5, null] })).toEqual([[1.5, null]]);
});
