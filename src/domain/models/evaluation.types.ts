import { Field, Float, ID, InputType, Int, ObjectType } from 'type-graphql';
import type { EvaluationResult, FoldScheme, ShapMethod, ThresholdPurpose } from '../../ml/evaluate.js';
import { connectionOf, DateTime, enumOf, Long, Node, resultOf } from '../../platform/graphql.js';
import { Job } from '../../platform/job.types.js';
import type { AskedSections, AskedThreshold } from './evaluation-request.js';
import { Metrics, metricsOf } from './metrics.types.js';
import { CalibrationCurve, ChosenThreshold, ClassCurves, ResidualSummary } from './answer-section.types.js';
import { DependenceCurve, PermutationReport, ShapMethodEnum, ShapReport } from './explanation-section.types.js';
import { GroupReport } from './group-section.types.js';
import { CrossValidationReport, FoldSchemeEnum, LearningPoint, PairedReport } from './resample-section.types.js';

type Part = 'VALIDATION' | 'TEST';
const PartEnum = enumOf<Part>('EvaluationPart', 'On which rows of a split a version is evaluated.', {
  VALIDATION: 'The validation rows: choose by these.',
  TEST: 'The test rows: report these.',
});

@ObjectType({
  implements: Node,
  description: 'An evaluation of a model version: what was asked for, how far it is, and its sections once it is done.',
})
export class Evaluation extends Node {
  @Field(() => ID, { description: 'The version.' })
  modelVersionId: string;

  @Field(() => ID, { description: 'The dataset version whose rows it was evaluated on.' })
  datasetVersionId: string;

  @Field(() => ID, { description: 'The split that says which rows.' })
  splitId: string;

  @Field(() => PartEnum, { description: 'Which part of the split.' })
  part: Part;

  @Field(() => ID, { nullable: true, description: 'The version that it is compared with; null for none.' })
  againstVersionId: string | null;

  @Field(() => Long, { description: 'The seed of all randomness: the same one gives the same result.' })
  seed: number;

  @Field(() => Job, { description: 'The work: state, progress, why it failed.' })
  job: Job;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;
}

export const EvaluationConnection = connectionOf(Evaluation);

/** Every section is null where it was not asked for. */
@ObjectType({ description: 'What an evaluation found; a section that was not asked for is null.' })
export class EvaluationSections {
  @Field(() => Metrics, { description: 'The figures, as a training tells them.' })
  metrics: Metrics;

  @Field(() => [ClassCurves], { nullable: true, description: 'ROC and precision-recall.' })
  curves: readonly ClassCurves[] | null;

  @Field(() => CalibrationCurve, { nullable: true, description: 'Whether scores are probabilities.' })
  calibration: CalibrationCurve | null;

  @Field(() => [ChosenThreshold], { nullable: true, description: 'A threshold for each purpose, as they were given.' })
  thresholds: readonly ChosenThreshold[] | null;

  @Field(() => ResidualSummary, { nullable: true, description: 'How numbers err.' })
  residuals: ResidualSummary | null;

  @Field(() => [GroupReport], { nullable: true, description: 'Figures by group, for each column asked for.' })
  groups: readonly GroupReport[] | null;

  @Field(() => PermutationReport, { nullable: true, description: 'What the model needs its columns for.' })
  permutationImportance: PermutationReport | null;

  @Field(() => [DependenceCurve], { nullable: true, description: 'How answers go with each column asked for.' })
  partialDependence: readonly DependenceCurve[] | null;

  @Field(() => ShapReport, { nullable: true, description: 'Shapley values.' })
  shap: ShapReport | null;

  @Field(() => CrossValidationReport, { nullable: true, description: 'The specification, fitted once per fold.' })
  crossValidation: CrossValidationReport | null;

  @Field(() => [LearningPoint], { nullable: true, description: 'The specification on growing shares of the rows.' })
  learningCurve: readonly LearningPoint[] | null;

  @Field(() => PairedReport, { nullable: true, description: 'Beside the other version, on the same rows.' })
  against: PairedReport | null;
}

/** The stored result with its figures as the types of the task. */
export function sectionsOf(result: EvaluationResult): EvaluationSections {
  const { task, shap } = result;
  return {
    metrics: metricsOf(task, result.metrics),
    curves: result.curves ?? null,
    calibration: result.calibration ?? null,
    thresholds: result.thresholds?.map((one) => ({ ...one, ...toldPurpose(one.purpose) })) ?? null,
    residuals: result.residuals ?? null,
    groups:
      result.groups?.map((report) => ({
        ...report,
        groups: report.groups.map((group) => ({ ...group, metrics: metricsOf(task, group.metrics) })),
      })) ?? null,
    permutationImportance: result.permutationImportance ?? null,
    partialDependence: result.partialDependence ?? null,
    shap: shap ? { ...shap, examples: shap.examples ?? null } : null,
    crossValidation: result.crossValidation
      ? {
          ...result.crossValidation,
          results: result.crossValidation.results.map((fold) => ({ ...fold, metrics: metricsOf(task, fold.metrics) })),
        }
      : null,
    learningCurve:
      result.learningCurve?.map((point) => ({
        ...point,
        train: metricsOf(task, point.train),
        judged: metricsOf(task, point.judged),
      })) ?? null,
    against: result.against ?? null,
  };
}

function toldPurpose(purpose: ThresholdPurpose): Pick<ChosenThreshold, 'purpose' | 'bound'> {
  switch (purpose.kind) {
    case 'MINIMUM_PRECISION':
      return { purpose: purpose.kind, bound: purpose.precision };
    case 'MINIMUM_RECALL':
      return { purpose: purpose.kind, bound: purpose.recall };
    case 'ALERT_SHARE':
      return { purpose: purpose.kind, bound: purpose.share };
    case 'COST':
      return { purpose: purpose.kind, bound: null };
  }
}

@InputType({ description: 'What wrong answers cost, in any unit.' })
export class ErrorCostInput {
  @Field(() => Float, { description: 'A false alarm.' })
  falsePositive: number;

  @Field(() => Float, { description: 'A missed positive.' })
  falseNegative: number;
}

@InputType({ description: 'What a threshold is to serve: exactly one field.' })
export class ThresholdInput implements AskedThreshold {
  @Field(() => Float, { nullable: true, description: 'The highest recall with at least this precision.' })
  minimumPrecision?: number | null;

  @Field(() => Float, { nullable: true, description: 'The highest precision with at least this recall.' })
  minimumRecall?: number | null;

  @Field(() => Float, { nullable: true, description: 'The highest recall with at most this share of alerts.' })
  alertShare?: number | null;

  @Field(() => ErrorCostInput, { nullable: true, description: 'The least cost.' })
  cost?: ErrorCostInput | null;
}

@InputType({ description: 'Bins of a curve.' })
export class BinsInput {
  @Field(() => Int, { nullable: true, description: 'How many, 2 to 50; 10 unless told.' })
  bins?: number | null;
}

@InputType({ description: 'Columns, 1 to 20.' })
export class EvaluationColumnsInput {
  @Field(() => [String], { description: 'Their names.' })
  columns: string[];
}

@InputType({ description: 'How to measure permutation importance.' })
export class PermutationInput {
  @Field(() => Int, { nullable: true, description: 'How often each column is dealt out, 1 to 20; 5 unless told.' })
  repeats?: number | null;
}

@InputType({ description: 'How to explain rows.' })
export class ShapInput {
  @Field(() => ShapMethodEnum, { nullable: true, description: 'BACKGROUND unless told.' })
  method?: ShapMethod | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Rows at most, 1 to 5,000; 500 unless told. Fewer where trees are many and deep.',
  })
  rows?: number | null;

  @Field(() => Int, { nullable: true, description: 'Highest scores to be told one by one, 0 to 20; 5 unless told.' })
  examples?: number | null;
}

@InputType({ description: 'How to deal out rows for cross-validation.' })
export class CrossValidationInput {
  @Field(() => FoldSchemeEnum, { nullable: true, description: 'STRATIFIED of classes, KFOLD of numbers unless told.' })
  scheme?: FoldScheme | null;

  @Field(() => Int, { nullable: true, description: 'How many folds, 3 to 20; 5 unless told.' })
  folds?: number | null;

  @Field(() => String, { nullable: true, description: 'By which column; for STRATIFIED the target unless told.' })
  column?: string | null;
}

@InputType({ description: 'Which shares of the training rows to learn from.' })
export class LearningCurveInput {
  @Field(() => [Float], { nullable: true, description: 'Up to 10; 0.1, 0.25, 0.5, 0.75 and 1 unless told.' })
  shares?: number[] | null;
}

@InputType({ description: 'An evaluation: of which version, on which rows, and which sections.' })
export class EvaluateInput implements AskedSections {
  @Field(() => ID, { description: 'The version.' })
  modelVersionId: string;

  @Field(() => PartEnum, { nullable: true, description: 'Which rows of the split; TEST unless told.' })
  part?: Part | null;

  @Field(() => ID, {
    nullable: true,
    description: 'A split of any dataset version that has the columns of the model; the version’s own unless told.',
  })
  splitId?: string | null;

  @Field(() => ID, { nullable: true, description: 'Another version, to be compared with on the same rows.' })
  againstVersionId?: string | null;

  @Field(() => Long, { nullable: true, description: '0 to 2^32 - 1; the version’s own unless told.' })
  seed?: number | null;

  @Field(() => Boolean, { nullable: true, description: 'ROC and precision-recall curves. Classes only.' })
  curves?: boolean | null;

  @Field(() => BinsInput, { nullable: true, description: 'The calibration curve. Classes only.' })
  calibration?: BinsInput | null;

  @Field(() => [ThresholdInput], { nullable: true, description: 'Thresholds for up to 10 purposes. Two classes only.' })
  thresholds?: ThresholdInput[] | null;

  @Field(() => BinsInput, { nullable: true, description: 'Quantiles of residuals. Numbers only.' })
  residuals?: BinsInput | null;

  @Field(() => EvaluationColumnsInput, {
    nullable: true,
    description: 'Figures by group: by these columns of the data, whether the model takes them or not.',
  })
  groups?: EvaluationColumnsInput | null;

  @Field(() => PermutationInput, { nullable: true, description: 'Permutation importance of every column.' })
  permutationImportance?: PermutationInput | null;

  @Field(() => EvaluationColumnsInput, { nullable: true, description: 'Partial dependence on these columns.' })
  partialDependence?: EvaluationColumnsInput | null;

  @Field(() => ShapInput, { nullable: true, description: 'Shapley values.' })
  shap?: ShapInput | null;

  @Field(() => CrossValidationInput, {
    nullable: true,
    description: 'Fits the version’s own specification once per fold. The test rows take no part.',
  })
  crossValidation?: CrossValidationInput | null;

  @Field(() => LearningCurveInput, {
    nullable: true,
    description: 'Fits the version’s own specification on growing shares of the training rows.',
  })
  learningCurve?: LearningCurveInput | null;
}

@ObjectType({ description: 'The evaluation that was started.' })
export class EvaluatePayload {
  @Field(() => Evaluation, { description: 'The evaluation.' })
  evaluation: Evaluation;
}
export const EvaluateResult = resultOf(EvaluatePayload);

@InputType({ description: 'Which evaluation to cancel.' })
export class CancelEvaluationInput {
  @Field(() => ID, { description: 'The evaluation.' })
  evaluationId: string;
}

@ObjectType({ description: 'The evaluation that was asked to end.' })
export class CancelEvaluationPayload {
  @Field(() => Evaluation, { description: 'The evaluation.' })
  evaluation: Evaluation;
}
export const CancelEvaluationResult = resultOf(CancelEvaluationPayload);

@InputType({ description: 'Which evaluation to try again.' })
export class RetryEvaluationInput {
  @Field(() => ID, { description: 'The evaluation, failed or cancelled.' })
  evaluationId: string;
}

@ObjectType({ description: 'The evaluation that is queued again.' })
export class RetryEvaluationPayload {
  @Field(() => Evaluation, { description: 'The evaluation.' })
  evaluation: Evaluation;
}
export const RetryEvaluationResult = resultOf(RetryEvaluationPayload);
