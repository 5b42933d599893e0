import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { ModelFormat } from '../../ml/import.js';
import { connectionOf, DateTime, Long, Node, resultOf } from '../../platform/graphql.js';
import { Job } from '../../platform/job.types.js';

export const ModelFormatEnum = {
  AUTO: 'AUTO',
  XGBOOST_JSON: 'XGBOOST_JSON',
  XGBOOST_UBJ: 'XGBOOST_UBJ',
  LIGHTGBM_TEXT: 'LIGHTGBM_TEXT',
} as const satisfies Record<ModelFormat, ModelFormat>;
registerEnumType(ModelFormatEnum, {
  name: 'ModelFormat',
  description: 'A file that a model can be imported from.',
  valuesConfig: {
    AUTO: { description: 'Told from the first bytes of the file.' },
    XGBOOST_JSON: { description: 'What XGBoost’s `save_model("model.json")` writes.' },
    XGBOOST_UBJ: { description: 'What XGBoost’s `save_model("model.ubj")` writes.' },
    LIGHTGBM_TEXT: { description: 'What LightGBM’s `save_model("model.txt")` writes.' },
  },
});

@ObjectType({ description: 'What the codes of a column stand for.' })
export class ColumnCategories {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => [String], { description: 'What the codes 0, 1, … stand for.' })
  values: readonly string[];
}

@ObjectType({
  implements: Node,
  description: 'The import of a model that another library trained: what was asked for, and how far it is.',
})
export class ModelImport extends Node {
  @Field(() => ID, { description: 'The dataset version whose columns it takes, and on whose rows it is measured.' })
  datasetVersionId: string;

  @Field(() => ID, { description: 'Which rows validate and test.' })
  splitId: string;

  @Field(() => ID, { description: 'The upload of the file; shredded when the version is made.' })
  uploadId: string;

  @Field(() => String, { description: 'SHA-256 of the file, in hexadecimal.' })
  sha256: string;

  @Field(() => Long, { description: 'Size of the file.' })
  sizeBytes: number;

  @Field(() => ModelFormatEnum, { description: 'What was asked for; the version says what it was.' })
  format: ModelFormat;

  @Field(() => String, { description: 'The column to tell.' })
  target: string;

  @Field(() => [String], { nullable: true, description: 'The columns in the order of the file’s features, if given.' })
  columns: readonly string[] | null;

  @Field(() => [ColumnCategories], { description: 'What codes stand for, as far as it was given.' })
  categories: readonly ColumnCategories[];

  @Field(() => [String], { nullable: true, description: 'The classes in the order of the file’s outputs, if given.' })
  classes: readonly string[] | null;

  @Field(() => Job, { description: 'The work: state, progress, why it failed.' })
  job: Job;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;
}

export const ModelImportConnection = connectionOf(ModelImport);

@InputType({ description: 'What the codes of a column stand for.' })
export class ColumnCategoriesInput {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => [String], {
    description: 'What the codes 0, 1, … stand for. Of pandas: `list(frame[column].cat.categories)`.',
  })
  values: string[];
}

@InputType({
  description: 'An import. It becomes the next version of a model: name an existing one, or a new one.',
})
export class StartImportInput {
  @Field(() => ID, { description: 'The received file, made known by createUpload.' })
  uploadId: string;

  @Field(() => ModelFormatEnum, { nullable: true, description: 'What the file is; AUTO unless told.' })
  format?: ModelFormat | null;

  @Field(() => ID, { description: 'A dataset version with the columns that the model takes, and the target.' })
  datasetVersionId: string;

  @Field(() => ID, { description: 'A split of it: the model is measured on its validation and test rows.' })
  splitId: string;

  @Field(() => String, { description: 'The column that the model tells.' })
  target: string;

  @Field(() => [String], {
    nullable: true,
    description: 'Columns in the order of the file’s features; those that have the features’ names unless told.',
  })
  columns?: string[] | null;

  @Field(() => [ColumnCategoriesInput], {
    nullable: true,
    description: 'What codes stand for, for category columns of which the file does not say it.',
  })
  categories?: ColumnCategoriesInput[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      'The classes in the order of the file’s outputs, of two the positive one last; those of the target, sorted, unless told.',
  })
  classes?: string[] | null;

  @Field(() => ID, { nullable: true, description: 'An existing model. Either this or modelName.' })
  modelId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The name of a model, made if there is none. Either this or modelId.',
  })
  modelName?: string | null;
}

@ObjectType({ description: 'The import that was started.' })
export class StartImportPayload {
  @Field(() => ModelImport, { description: 'The import.' })
  modelImport: ModelImport;
}
export const StartImportResult = resultOf(StartImportPayload);

@InputType({ description: 'Which import to cancel.' })
export class CancelImportInput {
  @Field(() => ID, { description: 'The import.' })
  importId: string;
}

@ObjectType({ description: 'The import that was asked to end.' })
export class CancelImportPayload {
  @Field(() => ModelImport, { description: 'The import.' })
  modelImport: ModelImport;
}
export const CancelImportResult = resultOf(CancelImportPayload);

@InputType({ description: 'Which import to try again.' })
export class RetryImportInput {
  @Field(() => ID, { description: 'The import, failed or cancelled.' })
  importId: string;
}

@ObjectType({ description: 'The import that is queued again.' })
export class RetryImportPayload {
  @Field(() => ModelImport, { description: 'The import.' })
  modelImport: ModelImport;
}
export const RetryImportResult = resultOf(RetryImportPayload);
