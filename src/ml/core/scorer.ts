/** Raw scores of blocks of rows by one model: float64 sums, as predict.ts states them. */
import { isWorthKernel, KernelPredictor } from '../trees/kernel-predictor.js';
import { type LinearModel, type SingleModel, type TreeModel } from './model.js';
import { addTrees, compileTrees } from './walk.js';

export interface Scorer {
  /** Room for the float32 features of so many rows, row by row. */
  readonly block: Float32Array;
  readonly blockRows: number;
  /** Scores of the block's rows, `outputs` a row. */
  readonly raw: Float64Array;
  /** Scores the first `size` rows of the block. */
  score(size: number): void;
  close(): void;
}

/** A block of features stays below this many floats, so that it fits the second-level cache. */
const BLOCK_FLOATS = 1 << 16;

/** @param rows that are to come in all: few are not worth a kernel */
export function scorerOf(model: SingleModel, rows: number): Scorer {
  if (model.family === 'linear') return linearScorer(model, rows);
  return isWorthKernel(model, rows) ? kernelScorer(model, rows) : treeScorer(model, rows);
}

/** How many raw scores the model makes: one for a sigmoid, else one per class or the single value. */
export function rawOutputs(model: SingleModel): number {
  return model.family === 'trees' ? model.base.length : model.intercept.length;
}

function space(model: SingleModel, rows: number): Pick<Scorer, 'block' | 'blockRows' | 'raw'> {
  const width = model.features.length;
  const blockRows = Math.max(1, Math.min(rows, Math.floor(BLOCK_FLOATS / Math.max(1, width))));
  const block = new Float32Array(blockRows * width);
  return { block, blockRows, raw: new Float64Array(blockRows * rawOutputs(model)) };
}

/** raw = sum / share + base, in place. */
function finish({ base, aggregate, trees }: TreeModel, raw: Float64Array, size: number): void {
  const share = aggregate === 'mean' && trees.length > 0 ? trees.length : 1;
  for (let i = 0, at = 0; i < size; i++)
    for (let k = 0; k < base.length; k++, at++) raw[at] = raw[at]! / share + base[k]!;
}

function kernelScorer(model: TreeModel, rows: number): Scorer {
  const predictor = new KernelPredictor(model, rows);
  const { block, blockRows, raw } = predictor;
  return {
    block,
    blockRows,
    raw,
    score(size) {
      predictor.score(size);
      finish(model, raw, size);
    },
    close: () => predictor.close(),
  };
}

function treeScorer(model: TreeModel, rows: number): Scorer {
  const compiled = compileTrees(model);
  const made = space(model, rows);
  return {
    ...made,
    score(size) {
      made.raw.fill(0);
      addTrees(compiled, made.block, size, made.raw);
      finish(model, made.raw, size);
    },
    close: () => {},
  };
}

/** raw[i, k] = intercept[k] + sum_f weights[k, f] x[i, f] in float64. */
function linearScorer(model: LinearModel, rows: number): Scorer {
  const { weights, intercept, features } = model;
  const width = features.length;
  const made = space(model, rows);
  const { block, raw } = made;
  return {
    ...made,
    score(size) {
      for (let i = 0, at = 0; i < size; i++) {
        for (let k = 0; k < intercept.length; k++, at++) {
          let sum = 0;
          for (let f = 0, x = i * width, w = k * width; f < width; f++, x++, w++) sum += weights[w]! * block[x]!;
          raw[at] = sum + intercept[k]!;
        }
      }
    },
    close: () => {},
  };
}
