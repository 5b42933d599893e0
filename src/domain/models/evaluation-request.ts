import { type EvaluationRequest, LEAST_FOLDS, MOST_FOLDS, type ThresholdPurpose } from '../../ml/evaluate.js';
import { AppError } from '../../platform/errors.js';
import type { Signature } from './model.service.js';

/** Exactly one of the purposes. */
export interface AskedThreshold {
  readonly minimumPrecision?: number | null;
  readonly minimumRecall?: number | null;
  readonly alertShare?: number | null;
  readonly cost?: { readonly falsePositive: number; readonly falseNegative: number } | null;
}

/** The sections as they are asked for; what is left out within one takes its default. */
export interface AskedSections {
  readonly curves?: boolean | null;
  readonly calibration?: { readonly bins?: number | null } | null;
  readonly thresholds?: readonly AskedThreshold[] | null;
  readonly residuals?: { readonly bins?: number | null } | null;
  readonly groups?: { readonly columns: readonly string[] } | null;
  readonly permutationImportance?: { readonly repeats?: number | null } | null;
  readonly partialDependence?: { readonly columns: readonly string[] } | null;
  readonly shap?:
    | (Partial<Record<'rows' | 'examples', number | null>> & {
        readonly method?: NonNullable<EvaluationRequest['shap']>['method'] | null;
      })
    | null;
  readonly crossValidation?: {
    readonly scheme?: NonNullable<EvaluationRequest['crossValidation']>['scheme'] | null;
    readonly folds?: number | null;
    readonly column?: string | null;
  } | null;
  readonly learningCurve?: { readonly shares?: readonly number[] | null } | null;
}

const MOST_COLUMNS = 20;
const MOST_THRESHOLDS = 10;
const MOST_SHARES = 10;
const SHARES = [0.1, 0.25, 0.5, 0.75, 1];

/**
 * The request with its defaults filled in.
 * @param columns of the data
 * @throws AppError INVALID_INPUT with the field
 */
export function completeRequest(
  asked: AskedSections,
  { task, target, inputs }: Signature,
  columns: readonly string[],
): EvaluationRequest {
  const isNumber = task === 'regression';
  const refuseFor = (wrong: boolean, field: keyof AskedSections, why: string): void => {
    if (wrong && asked[field]) throw invalid(field, why);
  };
  refuseFor(isNumber, 'curves', 'Curves are of classes; this model tells numbers.');
  refuseFor(isNumber, 'calibration', 'Calibration is of classes; this model tells numbers.');
  refuseFor(!isNumber, 'residuals', 'Residuals are of numbers; this model tells classes.');
  refuseFor(task !== 'binary', 'thresholds', 'A threshold is of two classes.');
  const { calibration, thresholds, residuals, groups, permutationImportance, partialDependence, learningCurve } = asked;
  return {
    curves: asked.curves ?? false,
    calibration: calibration ? { bins: whole(calibration.bins ?? 10, 'calibration.bins', [2, 50]) } : null,
    thresholds: thresholds ? purposesOf(thresholds) : null,
    residuals: residuals ? { bins: whole(residuals.bins ?? 10, 'residuals.bins', [2, 50]) } : null,
    groups: groups ? { columns: known(groups.columns, columns, 'groups.columns') } : null,
    permutationImportance: permutationImportance
      ? { repeats: whole(permutationImportance.repeats ?? 5, 'permutationImportance.repeats', [1, 20]) }
      : null,
    partialDependence: partialDependence
      ? { columns: known(partialDependence.columns, inputs.map(({ name }) => name), 'partialDependence.columns') } // prettier-ignore
      : null,
    shap: asked.shap ? shapOf(asked.shap) : null,
    crossValidation: asked.crossValidation ? foldsOf(asked.crossValidation, isNumber ? null : target, columns) : null,
    learningCurve: learningCurve ? { shares: sharesOf(learningCurve.shares ?? SHARES) } : null,
  };
}

function purposesOf(asked: readonly AskedThreshold[]): ThresholdPurpose[] {
  if (asked.length < 1 || asked.length > MOST_THRESHOLDS)
    throw invalid('thresholds', `Between 1 and ${MOST_THRESHOLDS} thresholds.`);
  return asked.map(({ minimumPrecision, minimumRecall, alertShare, cost }, i) => {
    const field = `thresholds.${i}`;
    const given = [minimumPrecision, minimumRecall, alertShare, cost].filter((one) => one != null);
    if (given.length !== 1)
      throw invalid(field, 'Give exactly one of minimumPrecision, minimumRecall, alertShare, cost.');
    if (minimumPrecision != null) return { kind: 'MINIMUM_PRECISION', precision: share(minimumPrecision, field) };
    if (minimumRecall != null) return { kind: 'MINIMUM_RECALL', recall: share(minimumRecall, field) };
    if (alertShare != null) return { kind: 'ALERT_SHARE', share: share(alertShare, field) };
    const { falsePositive, falseNegative } = cost!;
    if (!(falsePositive >= 0 && falseNegative >= 0 && falsePositive + falseNegative > 0))
      throw invalid(field, 'Costs are not negative, and not both 0.');
    return { kind: 'COST', falsePositive, falseNegative };
  });
}

function shapOf({ method, rows, examples }: NonNullable<AskedSections['shap']>) {
  return {
    method: method ?? 'BACKGROUND',
    rows: whole(rows ?? 500, 'shap.rows', [1, 5000]),
    examples: whole(examples ?? 5, 'shap.examples', [0, 20]),
  };
}

function foldsOf(
  { scheme, folds, column }: NonNullable<AskedSections['crossValidation']>,
  classColumn: string | null,
  columns: readonly string[],
): NonNullable<EvaluationRequest['crossValidation']> {
  const chosen = scheme ?? (classColumn === null ? 'KFOLD' : 'STRATIFIED');
  const by = column ?? (chosen === 'STRATIFIED' ? classColumn : null);
  const field = 'crossValidation.column';
  if ((chosen === 'KFOLD') !== (by === null))
    throw invalid(field, chosen === 'KFOLD' ? 'KFOLD takes no column.' : `${chosen} needs a column.`);
  if (by !== null) known([by], columns, field);
  return { scheme: chosen, folds: whole(folds ?? 5, 'crossValidation.folds', [LEAST_FOLDS, MOST_FOLDS]), column: by };
}

function sharesOf(shares: readonly number[]): number[] {
  if (shares.length < 1 || shares.length > MOST_SHARES)
    throw invalid('learningCurve.shares', `Between 1 and ${MOST_SHARES} shares.`);
  return [...new Set(shares.map((one) => share(one, 'learningCurve.shares')))].sort((a, b) => a - b);
}

function known(asked: readonly string[], columns: readonly string[], field: string): string[] {
  const distinct = [...new Set(asked)];
  if (distinct.length < 1 || distinct.length > MOST_COLUMNS)
    throw invalid(field, `Between 1 and ${MOST_COLUMNS} columns.`);
  if (distinct.some((name) => !columns.includes(name))) throw invalid(field, 'There is no such column.');
  return distinct;
}

function whole(value: number, field: string, [least, most]: readonly [number, number]): number {
  if (!Number.isInteger(value) || value < least || value > most)
    throw invalid(field, `A whole number from ${least} to ${most}.`);
  return value;
}

function share(value: number, field: string): number {
  if (!(value > 0 && value <= 1)) throw invalid(field, 'A share is above 0 and at most 1.');
  return value;
}

function invalid(field: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.${field}` });
}
