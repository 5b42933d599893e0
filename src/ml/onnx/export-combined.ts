/**
 * Combinations: the members side by side in one graph, on the same inputs, and their scores joined as core/predict.ts joins
 * them, in double: a logarithm of float32 scores near 0 or 1 would differ by more than the parity proof allows.
 */
import { CLIP, type CombinedModel, type Link, type SingleModel } from '../core/model.js';
import { exportLink } from './export-link.js';
import { type GraphBuilder } from './graph.js';

/** Name of the scores, double [N, outputs] or [1, outputs]. `exportMember` gives those of one member. */
export function exportCombined(
  graph: GraphBuilder,
  { members, weights, stack }: CombinedModel,
  exportMember: (graph: GraphBuilder, member: SingleModel) => string,
): string {
  const parts = members.map((member, m) => {
    const scores = exportMember(graph, member);
    const input = stack === null ? scores : exportStackInput(graph, stack.link, scores);
    return graph.node('Mul', [input, graph.scalar(weights[m]!)]);
  });
  if (stack === null) return graph.node('Sum', parts);
  const intercept = graph.constant(stack.intercept, [1, stack.intercept.length]);
  return exportLink(graph, stack.link, graph.node('Sum', [...parts, intercept]));
}

/** The counterpart of stackInputs in core/predict.ts. */
function exportStackInput(graph: GraphBuilder, link: Link, scores: string): string {
  if (link === 'identity') return scores;
  if (link === 'softmax') return graph.node('Log', [graph.node('Max', [scores, graph.scalar(CLIP)])]);
  const positive = graph.node('Gather', [scores, graph.constant(BigInt64Array.of(1n))], { axis: { int: 1 } });
  const p = graph.node('Clip', [positive, graph.scalar(CLIP), graph.scalar(1 - CLIP)]);
  return graph.node('Log', [graph.node('Div', [p, graph.node('Sub', [graph.scalar(1), p])])]);
}
