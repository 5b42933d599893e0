/**
 * A fitted model as ONE ONNX file, from raw named columns to answers:
 *
 *   inputs          one tensor [N, 1] per column, named as the column (see tensorName): float, int64 for dates, string
 *   classification  label string [N], scores float [N, K], classes string [K]
 *   regression      value float [N]
 *
 * Only standard operators, so that every ONNX Runtime answers the same. The same model gives the same bytes.
 */
import { type FittedModel, type SingleModel } from '../core/model.js';
import { exportCalibration } from './export-calibration.js';
import { exportCombined } from './export-combined.js';
import { exportInputs } from './export-features.js';
import { exportLinear } from './export-linear.js';
import { exportLink } from './export-link.js';
import { exportTrees } from './export-trees.js';
import { DataType, GraphBuilder, tensorName } from './graph.js';
import { SIGNATURE_KEY, writeSignature } from './signature.js';

export interface ExportOptions {
  /** Name of the graph: shown by viewers, without meaning to a runtime. */
  readonly name: string;
  /** Lineage and whatever else should travel with the file. Keys must not start with "concordat.". */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Throws Error where the model has no input, or a name that is not well-formed Unicode. */
export function exportOnnx(fitted: FittedModel, { name, metadata }: ExportOptions): Uint8Array {
  const { model, inputs } = fitted;
  if (inputs.length === 0) throw new Error('A model without input columns cannot be exported.');
  const broken = inputs.find((input) => /\p{Cs}/u.test(input.name));
  if (broken !== undefined) throw new Error('A column name holds half a surrogate pair.');
  const graph = new GraphBuilder();
  exportInputs(graph, inputs);
  const scores = model.family === 'combined' ? exportCombined(graph, model, exportScores) : exportScores(graph, model);
  const answer = repeatForRows(graph, fitted, scores);
  const { calibration, classes } = fitted;
  exportAnswer(
    graph,
    fitted,
    calibration === undefined ? answer : exportCalibration(graph, calibration, answer, classes!.length),
  );
  const extra = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (extra.some(([key]) => key.startsWith('concordat.')))
    throw new Error('Metadata keys starting with "concordat." are taken.');
  return graph.finish(name, [[SIGNATURE_KEY, writeSignature(fitted)], ...extra]);
}

/** [1, outputs] or [N, outputs] -> [N, outputs], N taken from the first input. */
function repeatForRows(graph: GraphBuilder, { inputs }: FittedModel, answer: string): string {
  const rows = graph.node('Shape', [tensorName(inputs[0]!.name)], { start: { int: 0 }, end: { int: 1 } });
  const shape = graph.node('Concat', [rows, graph.constant(BigInt64Array.of(1n))], { axis: { int: 0 } });
  return graph.node('Expand', [answer, shape]);
}

/** Double [N, outputs], or [1, outputs] where no feature is left. */
function exportScores(graph: GraphBuilder, model: SingleModel): string {
  const raw = model.family === 'trees' ? exportTrees(graph, model) : exportLinear(graph, model);
  return exportLink(graph, model.link, raw);
}

/** Rounding and choice of the label, as core/predict.ts states it: the threshold meets the float32 score. */
function exportAnswer(graph: GraphBuilder, { task, classes, threshold }: FittedModel, answer: string): void {
  if (classes === null) {
    const flat = graph.node('Reshape', [answer, graph.constant(BigInt64Array.of(-1n))]);
    graph.cast(flat, DataType.float, 'value');
    graph.output('value', DataType.float, ['N']);
    return;
  }
  const scores = graph.cast(answer, DataType.float, 'scores');
  graph.constant(classes, [classes.length], 'classes');
  graph.node('Gather', ['classes', exportChoice(graph, scores, { task, threshold })], { axis: { int: 0 } }, 'label');
  graph.output('label', DataType.string, ['N']);
  graph.output('scores', DataType.float, ['N', classes.length]);
  graph.output('classes', DataType.string, [classes.length]);
}

/** Index of the class, int64 [N]. */
function exportChoice(
  graph: GraphBuilder,
  scores: string,
  { task, threshold }: Pick<FittedModel, 'task' | 'threshold'>,
): string {
  if (task !== 'binary') return graph.node('ArgMax', [scores], { axis: { int: 1 }, keepdims: { int: 0 } });
  const positive = graph.node('Gather', [scores, graph.constant(BigInt64Array.of(1n), [])], { axis: { int: 1 } });
  const reached = graph.node('GreaterOrEqual', [graph.cast(positive, DataType.double), graph.scalar(threshold)]);
  return graph.cast(reached, DataType.int64);
}
