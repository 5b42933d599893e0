import { Field, Float, Int, ObjectType } from 'type-graphql';
import type { FoldScheme, GroupRateName, ShapMethod, ThresholdPurpose } from '../../ml/evaluate.js';
import type { FigureName } from '../../ml/train.js';
import { enumOf, Long } from '../../platform/graphql.js';
import { Estimate, FigureEnum, Metrics } from './metrics.types.js';

export const ThresholdPurposeEnum = enumOf<ThresholdPurpose['kind']>(
  'ThresholdPurpose',
  'What a threshold is to serve.',
  {
    MINIMUM_PRECISION: 'The highest recall with at least this precision.',
    MINIMUM_RECALL: 'The highest precision with at least this recall.',
    ALERT_SHARE: 'The highest recall with at most this share of all rows called positive.',
    COST: 'The least cost of false alarms and missed positives.',
  },
);

const GroupRateEnum = enumOf<GroupRateName>('GroupRate', 'A rate by which groups are compared.', {
  BASE_RATE: 'The share of the group that is positive: a fact of the data.',
  SELECTION_RATE: 'The share of the group that is called positive (demographic parity).',
  TRUE_POSITIVE_RATE: 'Of its positive rows, the share that are called so (equal opportunity).',
  FALSE_POSITIVE_RATE:
    'Of its negative rows, the share that are called positive (equalised odds, with the one before).',
  PRECISION: 'Of its rows called positive, the share that are (predictive parity).',
});

export const ShapMethodEnum = enumOf<ShapMethod>('ShapMethod', 'What stands for a column that is not known.', {
  BACKGROUND: 'The values of background rows of the training part (interventional): true to the model.',
  PATH: 'Both ways at each split, weighted by the training rows that took them (path-dependent): true to the data; trees only.',
});

export const FoldSchemeEnum = enumOf<FoldScheme>('FoldScheme', 'How rows are dealt out to folds.', {
  KFOLD: 'At random.',
  STRATIFIED: 'At random, every value of a column in the same shares.',
  GROUPED: 'Rows of one value of a column together.',
  TIME: 'By time: each fold learns from the past and is tested on what comes after.',
});

@ObjectType({ description: 'A point of a curve, ready to be drawn.' })
export class CurvePoint {
  @Field(() => Float, {
    nullable: true,
    description: 'Rows with at least this score are called positive; null where none is.',
  })
  threshold: number | null;

  @Field(() => Float, { description: 'ROC: the false positive rate. Precision-recall: the recall.' })
  x: number;

  @Field(() => Float, { description: 'ROC: the true positive rate. Precision-recall: the precision.' })
  y: number;
}

@ObjectType({ description: 'Curves of one class against the rest.' })
export class ClassCurves {
  @Field(() => String, { description: 'The class; of two, the positive one.' })
  className: string;

  @Field(() => [CurvePoint], {
    description: 'From (0, 0) to (1, 1), by falling threshold; at most 200 points, each exact.',
  })
  roc: readonly CurvePoint[];

  @Field(() => [CurvePoint], {
    description: 'By falling threshold; between two points the precision is that of the later one.',
  })
  precisionRecall: readonly CurvePoint[];

  @Field(() => Estimate, { description: 'Area under the ROC curve.' })
  auc: Estimate;

  @Field(() => Estimate, { description: 'Mean precision over the steps of recall.' })
  averagePrecision: Estimate;

  @Field(() => Long, { description: 'Rows of the class.' })
  positives: number;

  @Field(() => Long, { description: 'All other rows.' })
  negatives: number;
}

@ObjectType({ description: 'Rows of like scores.' })
export class ReliabilityBin {
  @Field(() => Long, { description: 'How many.' })
  rows: number;

  @Field(() => Float, { description: 'The least score of the bin.' })
  from: number;

  @Field(() => Float, { description: 'The greatest score of the bin.' })
  to: number;

  @Field(() => Float, { description: 'The mean score of its rows.' })
  meanScore: number;

  @Field(() => Estimate, { description: 'The share of them that are of the class, with Wilson’s interval.' })
  share: Estimate;
}

@ObjectType({
  description:
    'Whether scores can be taken for probabilities: of two classes those of the positive one, of several those of the predicted class.',
})
export class CalibrationCurve {
  @Field(() => [ReliabilityBin], { description: 'Bins of equal width; empty ones are left out.' })
  equalWidth: readonly ReliabilityBin[];

  @Field(() => [ReliabilityBin], { description: 'Bins of nearly equal numbers of rows.' })
  equalCount: readonly ReliabilityBin[];

  @Field(() => Float, {
    description: 'Expected calibration error over bins of equal width: mean distance of share and score.',
  })
  errorEqualWidth: number;

  @Field(() => Float, { description: 'The same over bins of equal numbers.' })
  errorEqualCount: number;

  @Field(() => Estimate, {
    description: 'Brier score: mean squared distance of the probabilities from what happened; smaller is better.',
  })
  brier: Estimate;
}

@ObjectType({ description: 'What a threshold does on some rows.' })
export class ThresholdEffect {
  @Field(() => Long, { description: 'How many rows.' })
  rows: number;

  @Field(() => Estimate, { description: 'Of the rows called positive, the share that are.' })
  precision: Estimate;

  @Field(() => Estimate, { description: 'Of the positive rows, the share that are called so.' })
  recall: Estimate;

  @Field(() => Estimate, { description: 'Of the negative rows, the share that are called positive.' })
  falsePositiveRate: Estimate;

  @Field(() => Estimate, { description: 'Of all rows, the share that are called positive.' })
  alertShare: Estimate;

  @Field(() => Float, { nullable: true, description: 'Cost per row; null unless costs were given.' })
  cost: number | null;
}

@ObjectType({ description: 'A threshold for a purpose, chosen on the validation rows.' })
export class ChosenThreshold {
  @Field(() => ThresholdPurposeEnum, { description: 'What it serves.' })
  purpose: ThresholdPurpose['kind'];

  @Field(() => Float, {
    nullable: true,
    description: 'The least precision or recall, or the greatest share of alerts; null for costs.',
  })
  bound: number | null;

  @Field(() => Float, { nullable: true, description: 'Null where no threshold serves the purpose.' })
  threshold: number | null;

  @Field(() => ThresholdEffect, { nullable: true, description: 'On the validation rows, which chose it.' })
  chosen: ThresholdEffect | null;

  @Field(() => ThresholdEffect, { nullable: true, description: 'On the rows of this evaluation: report these.' })
  measured: ThresholdEffect | null;
}

@ObjectType({ description: 'A quantile of actual minus predicted.' })
export class ResidualQuantile {
  @Field(() => Float, { description: 'Which one, 0 to 1.' })
  quantile: number;

  @Field(() => Float, { description: 'In the unit of the target.' })
  value: number;
}

@ObjectType({ description: 'Rows of like predictions.' })
export class ResidualBin {
  @Field(() => Long, { description: 'How many.' })
  rows: number;

  @Field(() => Float, { description: 'Their mean prediction.' })
  meanPredicted: number;

  @Field(() => Float, { description: 'Their mean truth.' })
  meanActual: number;

  @Field(() => Float, { description: 'The 10 % quantile of actual minus predicted.' })
  low: number;

  @Field(() => Float, { description: 'The median of actual minus predicted.' })
  median: number;

  @Field(() => Float, { description: 'The 90 % quantile of actual minus predicted.' })
  high: number;
}

@ObjectType({ description: 'How numbers err.' })
export class ResidualSummary {
  @Field(() => Float, { description: 'Mean of actual minus predicted: not 0 is a bias.' })
  mean: number;

  @Field(() => [ResidualQuantile], { description: 'Of actual minus predicted, over all rows.' })
  quantiles: readonly ResidualQuantile[];

  @Field(() => [ResidualBin], { description: 'Along the prediction, in bins of equal numbers.' })
  bins: readonly ResidualBin[];
}

@ObjectType({ description: 'A rate of a group, beside the reference group’s.' })
export class GroupRateFigure {
  @Field(() => GroupRateEnum, { description: 'Which rate.' })
  name: GroupRateName;

  @Field(() => Estimate, { description: 'With Wilson’s interval.' })
  rate: Estimate;

  @Field(() => Estimate, {
    nullable: true,
    description: 'Minus the reference group’s, with Newcombe’s interval; null of the reference group.',
  })
  difference: Estimate | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Over the reference group’s; null of the reference group, and where that rate is 0.',
  })
  ratio: number | null;
}

@ObjectType({ description: 'Figures of one group.' })
export class GroupFigures {
  @Field(() => String, {
    nullable: true,
    description: 'A category, `true` or `false`, or a range; null for rows without a value (or with a rare one).',
  })
  group: string | null;

  @Field(() => Long, { description: 'How many rows.' })
  rows: number;

  @Field(() => Metrics, { description: 'How good the model is on them.' })
  metrics: Metrics;

  @Field(() => [GroupRateFigure], { description: 'Of the positive one of two classes; else empty.' })
  rates: readonly GroupRateFigure[];
}

@ObjectType({ description: 'How far apart the groups are in a rate.' })
export class GroupGap {
  @Field(() => GroupRateEnum, { description: 'Which rate.' })
  name: GroupRateName;

  @Field(() => Float, { description: 'The greatest minus the least.' })
  difference: number;

  @Field(() => Float, { nullable: true, description: 'The least over the greatest; null where that is 0.' })
  ratio: number | null;

  @Field(() => String, { nullable: true, description: 'The group of the greatest.' })
  highest: string | null;

  @Field(() => String, { nullable: true, description: 'The group of the least.' })
  lowest: string | null;
}

@ObjectType({ description: 'Figures by the values of a column.' })
export class GroupReport {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => String, { nullable: true, description: 'The largest group, which the others are compared with.' })
  reference: string | null;

  @Field(() => [GroupFigures], { description: 'The largest first, at most 20.' })
  groups: readonly GroupFigures[];

  @Field(() => [GroupGap], { description: 'Between the groups that are told; two classes only.' })
  gaps: readonly GroupGap[];

  @Field(() => Int, { description: 'Groups that are not told: smaller than leastRows, or beyond the 20 largest.' })
  maskedGroups: number;

  @Field(() => Long, { description: 'Their rows.' })
  maskedRows: number;

  @Field(() => Int, { description: 'Groups of fewer rows are not told.' })
  leastRows: number;
}

@ObjectType({ description: 'How much worse the answers become without a column.' })
export class ColumnIncrease {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => Estimate, { description: 'Growth of the figure when the column’s values are dealt out anew.' })
  increase: Estimate;
}

@ObjectType({ description: 'What the model needs its columns for.' })
export class PermutationReport {
  @Field(() => FigureEnum, { description: 'The figure that grows: LOG_LOSS or RMSE.' })
  figure: FigureName;

  @Field(() => Float, { description: 'The figure as it is.' })
  value: number;

  @Field(() => Long, { description: 'Rows that it was measured on, at most 10,000.' })
  rows: number;

  @Field(() => Int, { description: 'How often each column was dealt out.' })
  repeats: number;

  @Field(() => [ColumnIncrease], { description: 'The most important first.' })
  columns: readonly ColumnIncrease[];
}

@ObjectType({ description: 'The answers when a column holds a value in every row.' })
export class DependencePoint {
  @Field(() => Float, { nullable: true, description: 'The value, of a number; of a date, milliseconds since 1970.' })
  number: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'The value, of a category or a truth value; null with `number` null: missing.',
  })
  text: string | null;

  @Field(() => Float, { description: 'The share of rows near this value.' })
  share: number;

  @Field(() => [Float], { description: 'Mean answer by output.' })
  mean: readonly number[];

  @Field(() => [Float], { description: 'The 10 % quantile of the rows’ own answers, by output.' })
  low: readonly number[];

  @Field(() => [Float], { description: 'The 90 % quantile of the rows’ own answers, by output.' })
  high: readonly number[];
}

@ObjectType({ description: 'Partial dependence on a column, ready to be drawn.' })
export class DependenceCurve {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => [String], { description: 'What the answers are of: the classes, or the target.' })
  outputs: readonly string[];

  @Field(() => Long, { description: 'Rows that it was measured on, at most 1,000.' })
  rows: number;

  @Field(() => [DependencePoint], { description: 'By rising value; categories by falling frequency; missing last.' })
  points: readonly DependencePoint[];
}

@ObjectType({ description: 'How far a column moves the raw score.' })
export class ShapColumn {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => Float, { description: 'Mean |contribution| over rows and outputs.' })
  meanAbsolute: number;

  @Field(() => [Float], { description: 'Mean |contribution| by output.' })
  byOutput: readonly number[];
}

@ObjectType({ description: 'What a column adds to the raw score of a row.' })
export class ShapContribution {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => Float, { description: 'In the unit of the raw score.' })
  value: number;
}

@ObjectType({ description: 'A row and what moved its score; nothing of what the row holds.' })
export class ShapExample {
  @Field(() => Long, { description: 'Its position in the dataset version, from 0.' })
  row: number;

  @Field(() => String, { nullable: true, description: 'The class that is explained; null for a number.' })
  output: string | null;

  @Field(() => Float, { description: 'The answer.' })
  score: number;

  @Field(() => Float, { description: 'Base plus all contributions: what the model sums before its link.' })
  raw: number;

  @Field(() => [ShapContribution], { description: 'By falling size.' })
  contributions: readonly ShapContribution[];
}

@ObjectType({
  description: 'Exact Shapley values. The raw score of a row is the base plus a contribution of each column.',
})
export class ShapReport {
  @Field(() => ShapMethodEnum, { description: 'What stands for an unknown column.' })
  method: ShapMethod;

  @Field(() => Long, { description: 'Rows that were explained.' })
  rows: number;

  @Field(() => Long, { description: 'Rows that stood for the unknown.' })
  backgroundRows: number;

  @Field(() => [String], { description: 'What is explained: the positive class, the classes, or the target.' })
  outputs: readonly string[];

  @Field(() => [Float], { description: 'Mean raw score by output.' })
  base: readonly number[];

  @Field(() => [ShapColumn], { description: 'The most important first.' })
  columns: readonly ShapColumn[];

  @Field(() => [ShapExample], { nullable: true, description: 'The highest scores; null once the data were deleted.' })
  examples: readonly ShapExample[] | null;
}

@ObjectType({ description: 'One fold.' })
export class FoldResult {
  @Field(() => Int, { description: 'Which one, from 0.' })
  fold: number;

  @Field(() => Long, { description: 'Rows that it learned from.' })
  trainRows: number;

  @Field(() => Long, { description: 'Rows that stopped it and chose its threshold.' })
  validationRows: number;

  @Field(() => Metrics, { description: 'How good it is on the rows that it has not seen.' })
  metrics: Metrics;
}

@ObjectType({ description: 'A figure over the folds.' })
export class FoldFigure {
  @Field(() => FigureEnum, { description: 'Which figure.' })
  name: FigureName;

  @Field(() => Float, { description: 'Mean over the folds.' })
  mean: number;

  @Field(() => Float, { description: 'Standard deviation over the folds.' })
  deviation: number;

  @Field(() => Float, {
    description: 'Lower end of the 95 % interval of the mean (Nadeau and Bengio: folds share training rows).',
  })
  low: number;

  @Field(() => Float, { description: 'Upper end of the interval.' })
  high: number;
}

@ObjectType({
  description:
    'What the specification is worth, apart from this one model of it. Made on training and validation rows.',
})
export class CrossValidationReport {
  @Field(() => FoldSchemeEnum, { description: 'How the rows were dealt out.' })
  scheme: FoldScheme;

  @Field(() => Int, { description: 'How many folds.' })
  folds: number;

  @Field(() => String, { nullable: true, description: 'By which column; null for KFOLD.' })
  column: string | null;

  @Field(() => [FoldFigure], { description: 'Over the folds.' })
  figures: readonly FoldFigure[];

  @Field(() => [FoldResult], { description: 'Fold by fold.' })
  results: readonly FoldResult[];
}

@ObjectType({ description: 'The specification learned from a share of the training rows.' })
export class LearningPoint {
  @Field(() => Float, { description: 'The share.' })
  share: number;

  @Field(() => Long, { description: 'How many rows that is.' })
  trainRows: number;

  @Field(() => Metrics, { description: 'On the rows that it learned from.' })
  train: Metrics;

  @Field(() => Metrics, { description: 'On the rows of the evaluation.' })
  judged: Metrics;
}

@ObjectType({ description: 'A figure of two versions on the same rows.' })
export class PairedFigure {
  @Field(() => FigureEnum, { description: 'Which figure.' })
  name: FigureName;

  @Field(() => Float, { nullable: true, description: 'Of this version.' })
  value: number | null;

  @Field(() => Float, { nullable: true, description: 'Of the other one.' })
  against: number | null;

  @Field(() => Estimate, {
    description: 'This minus the other, with a paired bootstrap interval: one that holds 0 decides nothing.',
  })
  difference: Estimate;
}

@ObjectType({ description: 'Two versions on the same rows.' })
export class PairedReport {
  @Field(() => Long, { description: 'How many rows.' })
  rows: number;

  @Field(() => [PairedFigure], { description: 'Figure by figure.' })
  figures: readonly PairedFigure[];
}
