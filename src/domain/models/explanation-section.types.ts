import { Field, Float, Int, ObjectType } from 'type-graphql';
import type { ShapMethod } from '../../ml/evaluate.js';
import type { FigureName } from '../../ml/train.js';
import { enumOf, Long } from '../../platform/graphql.js';
import { Estimate, FigureEnum } from './metrics.types.js';

export const ShapMethodEnum = enumOf<ShapMethod>('ShapMethod', 'What stands for a column that is not known.', {
  BACKGROUND: 'The values of background rows of the training part (interventional): true to the model.',
  PATH: 'Both ways at each split, weighted by the training rows that took them (path-dependent): true to the data; trees only.',
});

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
