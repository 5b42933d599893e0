/** Calibration inside the graph, the counterpart of `calibrate` in core/calibrate.ts, in double. */
import { type Calibration } from '../core/model.js';
import { exportKnots } from './export-knots.js';
import { type GraphBuilder } from './graph.js';

/** scores: double [N, outputs], outputs at least two. */
export function exportCalibration(
  graph: GraphBuilder,
  calibration: Calibration,
  scores: string,
  outputs: number,
): string {
  if (outputs === 2) {
    const p = graph.node('Gather', [scores, graph.constant(BigInt64Array.of(1n))], { axis: { int: 1 } });
    const q = exportCurves(graph, calibration, p);
    return graph.concat([graph.node('Sub', [graph.scalar(1), q]), q]);
  }
  const q = exportCurves(graph, calibration, scores);
  const sum = graph.node('ReduceSum', [q, graph.constant(BigInt64Array.of(1n))], { keepdims: { int: 1 } });
  const isNone = graph.node('Equal', [sum, graph.scalar(0)]);
  return graph.node('Where', [isNone, graph.scalar(1 / outputs), graph.node('Div', [q, sum])]);
}

function exportCurves(graph: GraphBuilder, calibration: Calibration, p: string): string {
  if (calibration.method === 'isotonic') return exportKnots(graph, p, calibration.curves);
  const { clip, slope, intercept } = calibration;
  const c = graph.node('Clip', [p, graph.scalar(clip), graph.scalar(1 - clip)]);
  const z = graph.node('Log', [graph.node('Div', [c, graph.node('Sub', [graph.scalar(1), c])])]);
  const raised = graph.node('Add', [graph.node('Mul', [z, graph.constant(slope)]), graph.constant(intercept)]);
  return graph.node('Sigmoid', [raised]);
}
