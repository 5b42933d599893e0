import { Field, Float, Int, ObjectType } from 'type-graphql';
import type { FoldScheme } from '../../ml/evaluate.js';
import type { FigureName } from '../../ml/train.js';
import { enumOf, Long } from '../../platform/graphql.js';
import { Estimate, FigureEnum, Metrics } from './metrics.types.js';

export const FoldSchemeEnum = enumOf<FoldScheme>('FoldScheme', 'How rows are dealt out to folds.', {
  KFOLD: 'At random.',
  STRATIFIED: 'At random, every value of a column in the same shares.',
  GROUPED: 'Rows of one value of a column together.',
  TIME: 'By time: each fold learns from the past and is tested on what comes after.',
});

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
