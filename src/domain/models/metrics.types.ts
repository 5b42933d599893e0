import { Field, Float, InterfaceType, ObjectType, registerEnumType } from 'type-graphql';
import { Long } from '../../platform/graphql.js';
import type { ClassFigures, FigureName, Metrics as StoredMetrics } from '../../ml/train.js';

export const FigureEnum = {
  ACCURACY: 'ACCURACY',
  BALANCED_ACCURACY: 'BALANCED_ACCURACY',
  PRECISION: 'PRECISION',
  RECALL: 'RECALL',
  F1: 'F1',
  AUC: 'AUC',
  LOG_LOSS: 'LOG_LOSS',
  RMSE: 'RMSE',
  MAE: 'MAE',
  R2: 'R2',
} as const satisfies Record<FigureName, FigureName>;

export const FIGURE_SENTENCES: Readonly<Record<FigureName, string>> = {
  ACCURACY: 'Share of the rows that got the right label.',
  BALANCED_ACCURACY: 'Mean over the classes of the share of their rows that got the right label.',
  PRECISION: 'Of the rows given a class, the share that belong to it: the positive class, or the mean over all.',
  RECALL: 'Of the rows of a class, the share that were given it: the positive class, or the mean over all.',
  F1: 'Harmonic mean of precision and recall: of the positive class, or the mean over all.',
  AUC: 'Area under the ROC curve: how well scores order the rows; one class against the rest, and the mean.',
  LOG_LOSS: 'Mean of minus the logarithm of the score of the true class; smaller is better.',
  RMSE: 'Root of the mean squared error, in the unit of the target; smaller is better.',
  MAE: 'Mean absolute error, in the unit of the target; smaller is better.',
  R2: 'Share of the variance of the target that is explained; at most 1.',
};
registerEnumType(FigureEnum, {
  name: 'Figure',
  description: 'A figure of merit.',
  valuesConfig: Object.fromEntries(
    Object.entries(FIGURE_SENTENCES).map(([name, description]) => [name, { description }]),
  ),
});

@ObjectType({ description: 'A figure with its 95 % bootstrap interval; null where the rows do not define it.' })
export class Estimate {
  @Field(() => Float, { nullable: true, description: 'The figure on all rows.' })
  value: number | null;

  @Field(() => Float, { nullable: true, description: 'Lower end of the interval.' })
  low: number | null;

  @Field(() => Float, { nullable: true, description: 'Upper end of the interval.' })
  high: number | null;
}

@ObjectType({ description: 'Figures of one class against the rest.' })
export class ClassMetrics {
  @Field(() => String, { description: 'The class.' })
  className: string;

  @Field(() => Long, { description: 'Rows of this class.' })
  rows: number;

  @Field(() => Float, { nullable: true, description: FIGURE_SENTENCES.PRECISION })
  precision: number | null;

  @Field(() => Float, { nullable: true, description: FIGURE_SENTENCES.RECALL })
  recall: number | null;

  @Field(() => Float, { nullable: true, description: FIGURE_SENTENCES.F1 })
  f1: number | null;

  @Field(() => Float, { nullable: true, description: FIGURE_SENTENCES.AUC })
  auc: number | null;
}

@ObjectType({ description: 'Counts of rows by true and predicted class.' })
export class ConfusionMatrix {
  @Field(() => [String], {
    description:
      'The classes, in the order of the columns, and of the rows; a last row without a class counts rows of classes that training never saw.',
  })
  classes: readonly string[];

  @Field(() => [[Long]], { description: 'counts[true][predicted].' })
  counts: readonly (readonly number[])[];
}

@InterfaceType({
  description: 'How good a model is on some rows.',
  resolveType: (value: object) => value.constructor.name,
})
export abstract class Metrics {
  @Field(() => Long, { description: 'How many rows it was measured on.' })
  rows: number;
}

@ObjectType({
  implements: Metrics,
  description: 'Two classes; precision, recall and F1 are those of the positive one.',
})
export class BinaryMetrics extends Metrics {
  @Field(() => Estimate, { description: FIGURE_SENTENCES.ACCURACY })
  accuracy: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.BALANCED_ACCURACY })
  balancedAccuracy: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.PRECISION })
  precision: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.RECALL })
  recall: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.F1 })
  f1: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.AUC })
  auc: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.LOG_LOSS })
  logLoss: Estimate;

  @Field(() => [ClassMetrics], { description: 'Each class against the other.' })
  classes: readonly ClassFigures[];

  @Field(() => ConfusionMatrix, { description: 'Which classes are taken for which.' })
  confusion: ConfusionMatrix;
}

@ObjectType({
  implements: Metrics,
  description: 'More than two classes; precision, recall and F1 are means over them.',
})
export class MulticlassMetrics extends Metrics {
  @Field(() => Estimate, { description: FIGURE_SENTENCES.ACCURACY })
  accuracy: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.BALANCED_ACCURACY })
  balancedAccuracy: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.PRECISION })
  macroPrecision: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.RECALL })
  macroRecall: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.F1 })
  macroF1: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.AUC })
  macroAuc: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.LOG_LOSS })
  logLoss: Estimate;

  @Field(() => [ClassMetrics], { description: 'Each class against the rest.' })
  classes: readonly ClassFigures[];

  @Field(() => ConfusionMatrix, { description: 'Which classes are taken for which.' })
  confusion: ConfusionMatrix;
}

@ObjectType({ implements: Metrics, description: 'A number.' })
export class RegressionMetrics extends Metrics {
  @Field(() => Estimate, { description: FIGURE_SENTENCES.RMSE })
  rmse: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.MAE })
  mae: Estimate;

  @Field(() => Estimate, { description: FIGURE_SENTENCES.R2 })
  r2: Estimate;
}

const NONE: Estimate = { value: null, low: null, high: null };

/** The stored figures as the type of their task. */
export function metricsOf(task: 'binary' | 'multiclass' | 'regression', stored: StoredMetrics): Metrics {
  const { rows } = stored;
  const of = (name: FigureName): Estimate => stored.figures.find((figure) => figure.name === name) ?? NONE;
  if (task === 'regression')
    return Object.assign(new RegressionMetrics(), { rows, rmse: of('RMSE'), mae: of('MAE'), r2: of('R2') });
  const classes = stored.classes ?? [];
  const confusion = { classes: classes.map((one) => one.className), counts: stored.confusion ?? [] };
  const shared = {
    rows,
    classes,
    confusion,
    accuracy: of('ACCURACY'),
    balancedAccuracy: of('BALANCED_ACCURACY'),
    logLoss: of('LOG_LOSS'),
  };
  const [precision, recall, f1, auc] = [of('PRECISION'), of('RECALL'), of('F1'), of('AUC')];
  if (task === 'binary') return Object.assign(new BinaryMetrics(), { ...shared, precision, recall, f1, auc });
  return Object.assign(new MulticlassMetrics(), {
    ...shared,
    macroPrecision: precision,
    macroRecall: recall,
    macroF1: f1,
    macroAuc: auc,
  });
}
