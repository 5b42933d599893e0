import { type FittedModel } from '../core/model.js';
import { type Table } from '../core/table.js';

export interface ParityProof {
  /** Rows of the table that were compared, and generated rows at the edges of splits, dates and categories. */
  readonly rows: number;
  readonly edgeRows: number;
  /** The largest |onnx - trainer| / max(1, |trainer|). */
  readonly maxDifference: number;
  /** Labels that differ although their scores are further than the tolerance from the threshold (or from a tie). */
  readonly labelMismatches: number;
  readonly passed: boolean;
}

export const PARITY_TOLERANCE = 1e-5;

export async function proveParity(
  _fitted: FittedModel,
  _onnx: Uint8Array,
  _table: Table,
  _rows: Uint32Array,
  _options: { readonly seed: number },
): Promise<ParityProof> {
  throw new Error('not yet');
}
