/** What one row costs in the serving runtime: the exported model in an ONNX Runtime session like the one that serves it. */
import { type FittedModel } from '../core/model.js';
import { type Table } from '../core/table.js';
import { encodeTable } from '../onnx/parity.js';
import { infer, loadModel } from '../onnx/session.js';

const WARM_UP = 30;
const RUNS = 200;

/**
 * Median of single rows, in microseconds, after warming up. Rows are encoded beforehand: what encoding costs does not depend on the
 * model.
 * @param rows at least one
 * @param now  a clock in milliseconds, with fractions
 */
export async function measureLatency(
  fitted: FittedModel,
  onnx: Uint8Array,
  table: Table,
  rows: Uint32Array,
  now: () => number,
): Promise<number> {
  const model = await loadModel(onnx);
  try {
    const feeds = Array.from({ length: Math.min(RUNS, rows.length) }, (_, i) =>
      encodeTable(fitted.inputs, table, rows.subarray(i, i + 1)),
    );
    const times: number[] = [];
    for (let run = 0; run < WARM_UP + RUNS; run++) {
      const start = now();
      await infer(model, feeds[run % feeds.length]!);
      if (run >= WARM_UP) times.push(now() - start);
    }
    return 1000 * times.sort((a, b) => a - b)[RUNS >> 1]!;
  } finally {
    await model.session.release();
  }
}
