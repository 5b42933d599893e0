import type { Figure, FigureName, Metrics } from '../../ml/train.js';
import type { ModelVersionRow } from './model.entity.js';

/** Figures that are better when smaller. */
const SMALLER_IS_BETTER: ReadonlySet<FigureName> = new Set(['LOG_LOSS', 'RMSE', 'MAE']);

export interface Difference {
  readonly name: string;
  /** As text (JSON for anything but text); null where the version has none. */
  readonly a: string | null;
  readonly b: string | null;
}

export interface FigureDifference {
  readonly figure: FigureName;
  readonly a: Figure | null;
  readonly b: Figure | null;
  /** b - a. */
  readonly difference: number | null;
  /** Null where they are equal or cannot be compared. */
  readonly better: 'A' | 'B' | null;
}

export interface Comparison {
  readonly a: ModelVersionRow;
  readonly b: ModelVersionRow;
  readonly validation: FigureDifference[];
  readonly test: FigureDifference[];
  /** Whether both were measured on the same rows for the same target: otherwise differences say little. */
  readonly isLike: boolean;
  readonly parameters: Difference[];
  readonly lineage: Difference[];
}

export function compare(a: ModelVersionRow, b: ModelVersionRow): Comparison {
  return {
    a,
    b,
    validation: figureDifferences(a.validation, b.validation),
    test: figureDifferences(a.test, b.test),
    isLike:
      a.splitDigest === b.splitDigest &&
      a.datasetDigest === b.datasetDigest &&
      a.signature.target === b.signature.target,
    parameters: differences(a.parameters, b.parameters),
    lineage: differences(lineageOf(a), lineageOf(b)),
  };
}

function lineageOf(version: ModelVersionRow): Record<string, unknown> {
  const { datasetVersionId, datasetDigest, splitId, splitDigest, algorithm, seed, codeVersion, trainRows } = version;
  const { target, task, inputs } = version.signature;
  const source = version.source ?? undefined;
  const features = inputs.map((input) => input.name);
  return {
    datasetVersionId,
    datasetDigest,
    splitId,
    splitDigest,
    target,
    task,
    features,
    algorithm,
    source,
    seed,
    codeVersion,
    trainRows,
  };
}

/** The entries that differ, in the order of their names. */
function differences(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): Difference[] {
  const text = (value: unknown) =>
    value === undefined ? null : typeof value === 'string' ? value : JSON.stringify(value);
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .sort()
    .map((name) => ({ name, a: text(a[name]), b: text(b[name]) }))
    .filter((entry) => entry.a !== entry.b);
}

function figureDifferences(a: Metrics, b: Metrics): FigureDifference[] {
  const names = [...new Set([...a.figures, ...b.figures].map((figure) => figure.name))];
  return names.map((name) => {
    const [left, right] = [figureOf(a, name), figureOf(b, name)];
    const [x, y] = [left?.value ?? null, right?.value ?? null];
    if (x === null || y === null) return { figure: name, a: left, b: right, difference: null, better: null };
    const sign = isBetter(name, y, x);
    return { figure: name, a: left, b: right, difference: y - x, better: sign === 0 ? null : sign > 0 ? 'B' : 'A' };
  });
}

export function figureOf(metrics: Metrics, name: FigureName): Figure | null {
  return metrics.figures.find((figure) => figure.name === name) ?? null;
}

/** Positive if x is better than y, negative if worse. */
export function isBetter(name: FigureName, x: number, y: number): number {
  return SMALLER_IS_BETTER.has(name) ? y - x : x - y;
}

/** What versions are ranked by unless told: the one figure that scores the whole answer, not a threshold's consequence. */
export function defaultFigure({ signature }: ModelVersionRow): FigureName {
  return signature.task === 'regression' ? 'RMSE' : 'LOG_LOSS';
}
