import { importEnding, importModel } from './import.js';
import { evaluate, evaluateEnding } from './evaluate.js';
import { ingest, ingestEnding } from './ingest.js';
import { predict, predictEnding } from './predict.js';
import type { Endings, Processors } from './processor.js';
import { split } from './split.js';
import { train, trainEnding } from './train.js';
import { tune, tuneEnding } from './tune.js';

/** Every job and who does it. */
export const PROCESSORS: Processors = {
  ingest,
  split,
  train,
  import: importModel,
  tune,
  evaluate,
  predict,
};

export const ENDINGS: Endings = {
  ingest: ingestEnding,
  train: trainEnding,
  import: importEnding,
  tune: tuneEnding,
  evaluate: evaluateEnding,
  predict: predictEnding,
};
