import { createHash } from 'node:crypto';
import type { App } from '../../src/app.js';
import type { NewVersion } from '../../src/domain/models/model.service.js';
import type { FittedModel } from '../../src/ml/core/model.js';
import { packModel } from '../../src/ml/core/pack.js';
import { exportOnnx } from '../../src/ml/onnx/export.js';
import { writeSealed } from '../../src/platform/blobs.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { scopeOf } from './agreement-support.js';

const number = { kind: 'number', impute: 0, mean: 0, scale: 1 } as const;

/** p(yes) = sigmoid(x + 2 [city = Lyon]); yes from 0.5 on. */
export function classifier(shift = 0): FittedModel {
  return {
    model: {
      family: 'linear',
      features: [
        { ...number, column: 'x' },
        { kind: 'oneHot', column: 'city', category: 'Lyon' },
      ],
      weights: Float32Array.of(1, 2),
      intercept: Float32Array.of(shift),
      link: 'sigmoid',
    },
    task: 'binary',
    classes: ['no', 'yes'],
    threshold: 0.5,
    target: 'y',
    inputs: [
      { name: 'x', kind: 'number', categories: null },
      { name: 'city', kind: 'category', categories: ['Lyon', 'Paris'] },
    ],
  };
}

/** value = 10 x. */
export function regressor(): FittedModel {
  return {
    model: {
      family: 'linear',
      features: [{ ...number, column: 'x' }],
      weights: Float32Array.of(10),
      intercept: Float32Array.of(0),
      link: 'identity',
    },
    task: 'regression',
    classes: null,
    threshold: 0,
    target: 'y',
    inputs: [{ name: 'x', kind: 'number', categories: null }],
  };
}

/** Registers the model as the tenant's; `forgetLineage` must have been called. Returns the version's id. */
export async function registerModel(app: App, tenantId: string, fitted: FittedModel): Promise<string> {
  const scope = scopeOf(tenantId);
  const onnx = exportOnnx(fitted, { name: 'test', metadata: {} });
  const blob = await inTenant(app.db, scope, (tx) => app.blobs.prepare(tx, scope));
  await writeSealed(blob, [onnx]);
  const kept = await inTenant(app.db, scope, (tx) => app.blobs.prepare(tx, scope));
  await writeSealed(kept, [packModel(fitted)]);
  const { id: modelId } = await app.models.create(scope, { name: newId('model') });
  const { task, classes, inputs, target, threshold } = fitted;
  const content = {
    modelId,
    digest: createHash('sha256').update(onnx).digest('hex'),
    sizeBytes: onnx.byteLength,
    signature: { task, classes, inputs, target, threshold },
    trainingId: newId('training'),
    datasetVersionId: newId('datasetVersion'),
    datasetDigest: '0'.repeat(64),
    splitId: newId('split'),
    splitDigest: '0'.repeat(64),
    algorithm: 'LINEAR',
    parameters: {},
    seed: 1,
    codeVersion: 'test',
    validation: {},
    test: {},
    parity: { passed: true },
    importance: [],
    history: [],
    warnings: [],
    rounds: 1,
    bestRound: 1,
    trainRows: 1,
    elapsedMs: 1,
    peakMemoryBytes: 1,
    blob,
    fitted: kept,
  } as unknown as NewVersion;
  const version = await inTenant(app.db, scope, (tx) => app.models.register(tx, scope, content));
  return version.id;
}
