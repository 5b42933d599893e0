import { type BatchInput, inferBatch } from '../src/domain/serving/batch-input.service.js';
import { serveChild } from '../src/platform/child.js';

serveChild<BatchInput, null>(async (input, { ask, signal }) => {
  await inferBatch(input, { tell: ask, signal });
  return null;
});
