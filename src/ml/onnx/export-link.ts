/** The link of a model inside the graph, the counterpart of linkScores in core/predict.ts. */
import { type Link } from '../core/model.js';
import { type GraphBuilder } from './graph.js';

/** Raw scores -> scores, double. */
export function exportLink(graph: GraphBuilder, link: Link, raw: string): string {
  if (link === 'identity') return raw;
  if (link === 'exp') return graph.node('Exp', [raw]);
  if (link === 'softmax') return graph.node('Softmax', [raw], { axis: { int: 1 } });
  const p = graph.node('Sigmoid', [raw]);
  return graph.concat([graph.node('Sub', [graph.scalar(1), p]), p]);
}
