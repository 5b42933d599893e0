import { Field, Float, ObjectType } from 'type-graphql';
import type { ThresholdPurpose } from '../../ml/evaluate.js';
import { enumOf, Long } from '../../platform/graphql.js';
import { Estimate } from './metrics.types.js';

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
