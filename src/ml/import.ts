/**
 * Import: a model that another library trained becomes an artifact like any other: the same ONNX file, proved to answer like our
 * own predictor, with figures on the validation and test rows of a split. Nothing is learned from any row.
 */
import { evaluateModel } from './core/evaluate.js';
import { type FittedModel } from './core/model.js';
import { Pace } from './core/pace.js';
import { SpecError } from './core/spec-error.js';
import { type Table } from './core/table.js';
import { withReference } from './evaluate/reference.js';
import { requireRows, rowsByPart } from './fit.js';
import { fitSource } from './import/fit-source.js';
import { importTarget } from './import/import-target.js';
import { importLightgbm } from './import/lightgbm.js';
import { unreadable, unsupported } from './import/problem.js';
import { LIMITS, type SourceModel } from './import/source.js';
import { importXgboost } from './import/xgboost.js';
import { exportOnnx } from './onnx/export.js';
import { proveParity } from './onnx/parity.js';
import { type Artifact } from './train.js';

export { importLightgbm } from './import/lightgbm.js';
export { importXgboost } from './import/xgboost.js';

/** The files that can be imported; AUTO tells them apart by their first bytes. */
export const MODEL_FORMATS = ['AUTO', 'XGBOOST_JSON', 'XGBOOST_UBJ', 'LIGHTGBM_TEXT'] as const;
export type ModelFormat = (typeof MODEL_FORMATS)[number];

/** The largest file that is read. */
export const MOST_MODEL_BYTES = LIMITS.bytes;

export interface ImportSpec {
  readonly format: ModelFormat;
  readonly target: string;
  /** Columns in the order of the file's features; null: those that have the features' names. */
  readonly columns: readonly string[] | null;
  /** By column what the file's codes 0, 1, ... stand for, where it does not say so itself, or not rightly. */
  readonly categories: readonly { readonly column: string; readonly values: readonly string[] }[];
  /** In the order of the file's outputs; null: the sorted ones of the target. */
  readonly classes: readonly string[] | null;
  /** Of the resamples behind the intervals. */
  readonly seed: number;
  /** Lineage to be written into the ONNX file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ImportContext {
  /** TRAIN, VALIDATION or TEST per table row; rows of any other number take no part. */
  readonly assignment: Uint8Array;
  readonly signal: AbortSignal;
  onPhase(phase: 'evaluating' | 'proving'): void;
}

export interface Imported extends Artifact {
  readonly source: {
    readonly format: Exclude<ModelFormat, 'AUTO'>;
    readonly library: string;
    readonly objective: string;
  };
}

/** @throws SpecError for what the file, the request or the data rule out; the signal's reason when cancelled. */
export async function importModel(
  spec: ImportSpec,
  bytes: Uint8Array,
  table: Table,
  { assignment, signal, onPhase }: ImportContext,
): Promise<Imported> {
  const pace = new Pace(signal);
  const format = formatOf(bytes, spec.format);
  const source = readModel(bytes, format);
  const column = table.columns.find(({ name }) => name === spec.target);
  if (column === undefined) throw new SpecError('UNKNOWN_COLUMN', 'target', `There is no column "${spec.target}".`);
  const { used, rows } = rowsByPart(column, assignment);
  requireRows({ rows }, 'validation', 'test');
  const target = importTarget(source, column, used, spec.classes);
  const request = { ...spec, categories: new Map(spec.categories.map(({ column, values }) => [column, values])) };
  const { fitted: bare, columns } = fitSource(source, table, request, target);
  const known = rows.train.length > 0 ? rows.train : rows.validation;
  const fitted = await withReference(bare, table, known, pace);
  const onnx = exportOnnx(fitted, { name: 'imported', metadata: spec.metadata ?? {} });
  onPhase('evaluating');
  const options = { seed: spec.seed, pace };
  const validation = await evaluateModel(fitted, table, target, rows.validation, options);
  const test = await evaluateModel(fitted, table, target, rows.test, options);
  onPhase('proving');
  return {
    fitted,
    onnx,
    validation,
    test,
    outOfBag: null,
    importance: importance(source.contributions, columns),
    rounds: source.rounds,
    bestRound: source.bestRound,
    history: [],
    warnings: [...source.warnings, ...target.warnings, ...rankingWarnings(fitted, validation)],
    parity: await proveParity(fitted, onnx, table, rows.test, { seed: spec.seed }),
    trainRows: 0,
    validationRows: rows.validation.length,
    testRows: rows.test.length,
    source: { format, library: source.library, objective: source.objective },
  };
}

function readModel(bytes: Uint8Array, format: Imported['source']['format']): SourceModel {
  if (bytes.length > LIMITS.bytes) throw unsupported(`A model file may have up to ${LIMITS.bytes} bytes.`);
  if (format !== 'LIGHTGBM_TEXT') return importXgboost(bytes);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable('it is no text in UTF-8');
  }
  return importLightgbm(text);
}

/** By the first bytes: `{"` or `{ `, `{L` (a key's length) or `{i`, `tree`. */
function formatOf(bytes: Uint8Array, wanted: ModelFormat): Imported['source']['format'] {
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 8));
  const found = /^tree\s/.test(start)
    ? 'LIGHTGBM_TEXT'
    : /^\{[\s"}]/.test(start)
      ? 'XGBOOST_JSON'
      : start.startsWith('{')
        ? 'XGBOOST_UBJ'
        : null;
  if (found === null)
    throw unreadable(
      'it is none of XGBoost’s JSON or UBJSON and LightGBM’s text; other formats, such as pickles, cannot be imported. Write it with save_model',
    );
  if (wanted !== 'AUTO' && wanted !== found) throw unreadable(`it is ${found}, not ${wanted}`);
  return found;
}

/** Shares of the gains that the file tells, or of the size of the weights, by falling share. */
function importance(contributions: Float64Array, columns: readonly (string | null)[]): Artifact['importance'] {
  const total = contributions.reduce((sum, value) => sum + value, 0);
  return columns
    .flatMap((column, f) => (column === null ? [] : [{ column, gain: total > 0 ? contributions[f]! / total : 0 }]))
    .sort((a, b) => b.gain - a.gain);
}

function rankingWarnings({ task }: FittedModel, validation: Artifact['validation']): string[] {
  const auc = validation.figures.find(({ name }) => name === 'AUC')?.value ?? null;
  return task === 'binary' && auc !== null && auc < 0.5
    ? ['The model ranks the validation rows worse than chance: are the classes in the order that it was trained with?']
    : [];
}
