/**
 * Linear models: raw = x W + one-hot rows + intercept, in double, because float32 products would lose what large inputs leave.
 */
import { type LinearModel } from '../core/model.js';
import { exportOneHot, isIndicator, joinFeatures } from './export-features.js';
import { DataType, type GraphBuilder } from './graph.js';

/** Name of the raw scores, double [N, outputs], or of the constant [1, outputs] where no feature is left. */
export function exportLinear(graph: GraphBuilder, { features, weights, intercept }: LinearModel): string {
  const outputs = intercept.length;
  const weight = (feature: number, output: number): number => weights[output * features.length + feature]!;
  let raw = graph.constant(Float64Array.from(intercept), [1, outputs]);
  const joined = joinFeatures(graph, features, (f) => !isIndicator(features[f]!));
  if (joined !== null) {
    const { order, tensor } = joined;
    const matrix = Float64Array.from({ length: order.length * outputs }, (_, i) =>
      weight(order[Math.floor(i / outputs)]!, i % outputs),
    );
    const product = graph.node('MatMul', [
      graph.cast(tensor, DataType.double),
      graph.constant(matrix, [order.length, outputs]),
    ]);
    raw = graph.node('Add', [product, raw]);
  }
  const rows = exportOneHot(graph, features, outputs, weight);
  return rows === null ? raw : graph.node('Add', [rows, raw]);
}
