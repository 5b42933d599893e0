import { ArgsType, Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf, Long, Node, resultOf, DateTime } from '../../platform/graphql.js';
import { type AlgorithmName, SPECS } from '../../ml/spec.js';
import type { ModelFormat } from '../../ml/import.js';
import { ModelFormatEnum } from './import.types.js';
import type { VersionAlgorithm } from './model.entity.js';
import { Estimate, FigureEnum } from './metrics.types.js';
import type { FigureName } from '../../ml/train.js';

export const AlgorithmEnum = {
  ...(Object.fromEntries(Object.keys(SPECS).map((name) => [name, name])) as { [A in AlgorithmName]: A }),
  IMPORTED: 'IMPORTED',
} as const;
registerEnumType(AlgorithmEnum, {
  name: 'Algorithm',
  description: 'How a model learns.',
  valuesConfig: {
    ...Object.fromEntries(Object.entries(SPECS).map(([name, { description }]) => [name, { description }])),
    IMPORTED: { description: 'Elsewhere: it was imported from a file of another library.' },
  },
});

export const ModelTaskEnum = { BINARY: 'binary', MULTICLASS: 'multiclass', REGRESSION: 'regression' } as const;
export type ModelTask = (typeof ModelTaskEnum)[keyof typeof ModelTaskEnum];
registerEnumType(ModelTaskEnum, {
  name: 'ModelTask',
  description: 'What a model answers.',
  valuesConfig: {
    BINARY: { description: 'One of two classes.' },
    MULTICLASS: { description: 'One of several classes.' },
    REGRESSION: { description: 'A number.' },
  },
});

export const InputKindEnum = { NUMBER: 'number', BOOLEAN: 'boolean', DATE: 'date', CATEGORY: 'category' } as const;
registerEnumType(InputKindEnum, {
  name: 'InputKind',
  description: 'What a model takes in a column.',
  valuesConfig: {
    NUMBER: { description: 'Numbers.' },
    BOOLEAN: { description: 'True or false.' },
    DATE: { description: 'Times, ISO 8601 or milliseconds since 1970.' },
    CATEGORY: { description: 'Texts, of which those seen in training tell something.' },
  },
});

@ObjectType({ implements: Node, description: 'A name under which versions are numbered.' })
export class Model extends Node {
  @Field(() => String, { description: 'Unique in the tenant.' })
  name: string;

  @Field(() => String, { nullable: true, description: 'What it is for.' })
  description: string | null;

  @Field(() => Int, { description: 'The number of its newest version; 0 if it has none.' })
  lastNumber: number;

  @Field(() => DateTime, { description: 'When it was created.' })
  createdAt: Date;
}

@ObjectType({ description: 'A column that a model takes.' })
export class ModelInput {
  @Field(() => String, { description: 'Its name.' })
  name: string;

  @Field(() => InputKindEnum, { description: 'What it holds.' })
  kind: (typeof InputKindEnum)[keyof typeof InputKindEnum];

  @Field(() => [String], { nullable: true, description: 'Categories seen in training; others are taken as unseen.' })
  categories: readonly string[] | null;
}

@ObjectType({ description: 'A hyper-parameter as it was used.' })
export class ParameterValue {
  @Field(() => String, { description: 'Its name.' })
  name: string;

  @Field(() => String, { description: 'Its value, as text.' })
  value: string;
}

@ObjectType({ description: 'A member of a combination.' })
export class TrainingMember {
  @Field(() => AlgorithmEnum, { description: 'How it learns.' })
  algorithm: AlgorithmName;

  @Field(() => [ParameterValue], { description: 'Its hyper-parameters.' })
  parameters: ParameterValue[];

  @Field(() => Float, { nullable: true, description: 'What it counts in a vote; null unless weights were given.' })
  weight?: number | null;
}

@ObjectType({ description: 'How much a column contributes.' })
export class ColumnImportance {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => Float, { description: 'Its share of the whole, 0 to 1.' })
  gain: number;
}

@ObjectType({ description: 'The loss after a round of training.' })
export class RoundRecord {
  @Field(() => Int, { description: 'The round.' })
  round: number;

  @Field(() => String, {
    nullable: true,
    description: 'What was measured, such as `logLoss`; null for versions made before it was noted.',
  })
  metric?: string | null;

  @Field(() => Float, { nullable: true, description: 'On the training rows, where it was known anyway.' })
  train?: number | null;

  @Field(() => Float, { description: 'On the validation rows.' })
  validation: number;
}

@ObjectType({ description: 'Proof that the ONNX file answers like the trainer’s own predictor.' })
export class ParityProof {
  @Field(() => Long, { description: 'Rows of the test split that were compared.' })
  rows: number;

  @Field(() => Long, { description: 'Rows made to lie on the edges of splits, dates and categories.' })
  edgeRows: number;

  @Field(() => Float, { description: 'The largest |onnx - trainer| / max(1, |trainer|); at most 1e-5.' })
  maxDifference: number;

  @Field(() => Int, { description: 'Labels that differ although scores are clear; none.' })
  labelMismatches: number;
}

@ObjectType({
  description:
    'The out-of-bag score of a forest: what it would answer for its training rows without the trees that have seen them. Not calibrated.',
})
export class OutOfBag {
  @Field(() => Long, { description: 'Training rows that some tree did not draw.' })
  rows: number;

  @Field(() => Float, { nullable: true, description: 'Classes: the log loss; a share below 0.001 counts as 0.001.' })
  logLoss?: number;

  @Field(() => Float, { nullable: true, description: 'Classes: the share of rows whose class has the largest score.' })
  accuracy?: number;

  @Field(() => Float, { nullable: true, description: 'Numbers: the root of the mean squared error.' })
  rmse?: number;

  @Field(() => Float, { nullable: true, description: 'Numbers: the share of the variance that is explained.' })
  r2?: number | null;
}

@ObjectType({ description: 'The file that a version was imported from.' })
export class ModelSource {
  @Field(() => ModelFormatEnum, { description: 'What it was.' })
  format: ModelFormat;

  @Field(() => String, { description: 'The library that wrote it, as far as it says so.' })
  library: string;

  @Field(() => String, { description: 'The objective that it was trained for, in the library’s words.' })
  objective: string;

  @Field(() => String, { description: 'SHA-256 of the file, in hexadecimal.' })
  sha256: string;

  @Field(() => Long, { description: 'Size of the file.' })
  sizeBytes: number;
}

@ObjectType({
  implements: Node,
  description: 'A trained model, as it is forever: one ONNX file, with where it comes from and how good it is.',
})
export class ModelVersion extends Node {
  @Field(() => ID, { description: 'Its model.' })
  modelId: string;

  @Field(() => Int, { description: 'Its number within the model, from 1.' })
  number: number;

  @Field(() => DateTime, { description: 'When it was registered.' })
  createdAt: Date;

  @Field(() => String, { description: 'SHA-256 of the ONNX file, in hexadecimal.' })
  digest: string;

  @Field(() => Long, { description: 'Size of the ONNX file.' })
  sizeBytes: number;

  @Field(() => AlgorithmEnum, { description: 'How it learned.' })
  algorithm: VersionAlgorithm;

  @Field(() => Long, { description: 'The seed of its randomness.' })
  seed: number;

  @Field(() => ID, { nullable: true, description: 'The training that made it; null if it was imported.' })
  trainingId: string | null;

  @Field(() => ID, { nullable: true, description: 'The import that made it; null if it was trained here.' })
  importId: string | null;

  @Field(() => ModelSource, {
    nullable: true,
    description: 'The file it was imported from; null if it was trained here.',
  })
  source: ModelSource | null;

  @Field(() => ID, { description: 'The dataset version that it learned from, or was measured on if it was imported.' })
  datasetVersionId: string;

  @Field(() => ID, {
    nullable: true,
    description: 'The agreement under which it learned from another tenant’s data; null: they are the tenant’s own.',
  })
  agreementId: string | null;

  @Field(() => String, { description: 'Content digest of that dataset version.' })
  datasetDigest: string;

  @Field(() => ID, { description: 'The split that it was trained, validated and tested by.' })
  splitId: string;

  @Field(() => String, { description: 'Digest of that split’s assignment of rows.' })
  splitDigest: string;

  @Field(() => String, { description: 'Version of the package, and a digest of the learning code that ran.' })
  codeVersion: string;

  @Field(() => [ColumnImportance], { description: 'Columns, the most important first.' })
  importance: readonly ColumnImportance[];

  @Field(() => [RoundRecord], { description: 'The course of training.' })
  history: readonly RoundRecord[];

  @Field(() => [String], { description: 'What a careful reader should know.' })
  warnings: readonly string[];

  @Field(() => ParityProof, { description: 'Proof that the file answers like the trainer.' })
  parity: ParityProof;

  @Field(() => OutOfBag, {
    nullable: true,
    description:
      'Figures of the training rows, each answered by the trees that did not draw it; null without such trees.',
  })
  outOfBag: OutOfBag | null;

  @Field(() => Int, { description: 'Rounds that were run.' })
  rounds: number;

  @Field(() => Int, { description: 'The round that was kept: the best on the validation rows.' })
  bestRound: number;

  @Field(() => Long, { description: 'Rows that it learned from; 0 if it was imported.' })
  trainRows: number;

  @Field(() => Long, { description: 'How long training took, in milliseconds.' })
  elapsedMs: number;

  @Field(() => Long, { description: 'Most memory that training held.' })
  peakMemoryBytes: number;

  @Field(() => Boolean, { description: 'Whether its data were deleted since.' })
  derivedFromDeletedData: boolean;
}

@ObjectType({ description: 'A name for one version of a model, such as `champion`.' })
export class ModelAlias {
  @Field(() => String, { description: 'The name.' })
  alias: string;

  @Field(() => ID, { description: 'The version.' })
  versionId: string;

  @Field(() => DateTime, { description: 'Since when.' })
  setAt: Date;
}

@ObjectType({ description: 'One figure of two versions.' })
export class FigureDifference {
  @Field(() => FigureEnum, { description: 'Which figure.' })
  figure: FigureName;

  @Field(() => Estimate, { nullable: true, description: 'Of the first version.' })
  a: Estimate | null;

  @Field(() => Estimate, { nullable: true, description: 'Of the second version.' })
  b: Estimate | null;

  @Field(() => Float, { nullable: true, description: 'Second minus first.' })
  difference: number | null;

  @Field(() => String, { nullable: true, description: '`A` or `B`; null where they are equal or cannot be compared.' })
  better: 'A' | 'B' | null;
}

@ObjectType({ description: 'Something that differs between two versions.' })
export class VersionDifference {
  @Field(() => String, { description: 'What.' })
  name: string;

  @Field(() => String, { nullable: true, description: 'In the first version, as text; null if it has none.' })
  a: string | null;

  @Field(() => String, { nullable: true, description: 'In the second version, as text; null if it has none.' })
  b: string | null;
}

@ObjectType({ description: 'Two versions side by side.' })
export class ModelComparison {
  @Field(() => ModelVersion, { description: 'The first.' })
  a: ModelVersion;

  @Field(() => ModelVersion, { description: 'The second.' })
  b: ModelVersion;

  @Field(() => Boolean, {
    description: 'Whether both were measured on the same rows for the same target: otherwise differences say little.',
  })
  isLike: boolean;

  @Field(() => [FigureDifference], { description: 'Figures on the validation rows: choose by these.' })
  validation: FigureDifference[];

  @Field(() => [FigureDifference], { description: 'Figures on the test rows: report these.' })
  test: FigureDifference[];

  @Field(() => [VersionDifference], { description: 'Hyper-parameters that differ.' })
  parameters: VersionDifference[];

  @Field(() => [VersionDifference], {
    description: 'Origins that differ: data, split, target, features, algorithm, seed, code.',
  })
  lineage: VersionDifference[];
}

@ObjectType({ description: 'A version in a ranking.' })
export class LeaderboardEntry {
  @Field(() => ModelVersion, { description: 'The version.' })
  version: ModelVersion;

  @Field(() => FigureEnum, { description: 'What it is ranked by.' })
  figure: FigureName;

  @Field(() => Float, { description: 'The figure on the validation rows.' })
  value: number;
}

@ArgsType()
export class LeaderboardArgs {
  @Field(() => ID, { description: 'The split.' })
  splitId: string;

  @Field(() => String, { description: 'The target column.' })
  target: string;

  @Field(() => FigureEnum, {
    nullable: true,
    description: 'What to rank by; LOG_LOSS for classes and RMSE for numbers unless told.',
  })
  figure?: FigureName | null;

  @Field(() => Int, { nullable: true, description: 'How many at most, 1 to 100; 20 unless told.' })
  first?: number | null;
}

export const ModelConnection = connectionOf(Model);
export const ModelVersionConnection = connectionOf(ModelVersion);

@InputType({ description: 'A new model.' })
export class CreateModelInput {
  @Field(() => String, { description: 'Its name, unique in the tenant.' })
  name: string;

  @Field(() => String, { nullable: true, description: 'What it is for.' })
  description?: string | null;
}

@ObjectType({ description: 'The model that was created.' })
export class CreateModelPayload {
  @Field(() => Model, { description: 'The model.' })
  model: Model;
}
export const CreateModelResult = resultOf(CreateModelPayload);

@InputType({ description: 'A name for a version.' })
export class SetModelAliasInput {
  @Field(() => ID, { description: 'The model.' })
  modelId: string;

  @Field(() => String, { description: 'The name: lower-case letters, digits and dashes, such as `champion`.' })
  alias: string;

  @Field(() => ID, { description: 'The version, of this model.' })
  versionId: string;
}

@ObjectType({ description: 'The name that was set.' })
export class SetModelAliasPayload {
  @Field(() => ModelAlias, { description: 'The name and its version.' })
  alias: ModelAlias;
}
export const SetModelAliasResult = resultOf(SetModelAliasPayload);
