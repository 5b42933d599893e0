import { Field, Float, ID, InputType, Int, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, enumOf, Long, Node, resultOf } from '../../platform/graphql.js';
import type { VersionState } from './dataset.entity.js';
import type { ColumnRole, ColumnType, Format, RejectReason } from './schema.js';
import type { UploadState } from './upload.service.js';

export const UploadStateEnum = enumOf<UploadState>('UploadState', 'Where an upload stands.', {
  CREATED: 'Waits for its file.',
  RECEIVED: 'The file is there, whole and as announced.',
  EXPIRED: 'The address can no longer be used.',
});

export const VersionStateEnum = enumOf<VersionState>('DatasetVersionState', 'Where a dataset version stands.', {
  INGESTING: 'Its file is being read, or waits for that.',
  READY: 'It can be split and trained on; it never changes again.',
  REFUSED: 'Its file could not be used; `errorCode` and `errorMessage` say why.',
  DELETED: 'Its data is gone for good.',
});

export const FormatEnum = enumOf<Format>('DatasetFormat', 'What a file turned out to be.', {
  CSV: 'Delimited text with a line of column names.',
  JSON_LINES: 'One JSON object a line.',
  PARQUET: 'Apache Parquet.',
});

export const ColumnTypeEnum = enumOf<ColumnType>('ColumnType', 'What the values of a column are.', {
  NUMBER: 'Real numbers, as 64-bit floats.',
  BOOLEAN: 'True or false.',
  DATE: 'Dates and times, in milliseconds, UTC.',
  CATEGORY: 'Text; each different value is a category.',
});

export const ColumnRoleEnum = enumOf<ColumnRole>('ColumnRole', 'What a column seems to be good for.', {
  FEATURE: 'Something to learn from, or to predict.',
  IDENTIFIER: 'Different in almost every row: it names rows and teaches nothing.',
  TEXT: 'Free text.',
  CONSTANT: 'The same value in every row that has one.',
  EMPTY: 'No row has a value.',
});

export const RejectReasonEnum = enumOf<RejectReason>('RejectReason', 'Why a line could not be read.', {
  TOO_FEW_FIELDS: 'Fewer fields than column names.',
  TOO_MANY_FIELDS: 'More fields than column names.',
  BAD_QUOTES: 'A quote that is not closed, or stands where none may.',
  LINE_TOO_LONG: 'Longer than a line may be.',
  NOT_JSON: 'Not JSON.',
  NOT_AN_OBJECT: 'JSON, but not an object.',
  NON_FINITE_NUMBER: 'NaN or Infinity, which JSON does not know.',
  UNREADABLE: 'Anything else.',
});

@ObjectType({ implements: Node, description: 'A file on its way in.' })
export class Upload extends Node {
  @Field(() => UploadStateEnum, { description: 'Where it stands.' })
  state: UploadState;

  @Field(() => String, { nullable: true, description: 'The name of the file, if it was told.' })
  fileName: string | null;

  @Field(() => Long, { description: 'The size announced, in bytes.' })
  sizeBytes: number;

  @Field(() => String, { description: 'The SHA-256 announced, in hexadecimal.' })
  sha256: string;

  @Field(() => DateTime, { description: 'When it was announced.' })
  createdAt: Date;

  @Field(() => DateTime, { description: 'Until when its address can be used.' })
  expiresAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When the file had arrived.' })
  receivedAt: Date | null;
}

@ObjectType({ description: 'A column of a dataset version.' })
export class DatasetColumn {
  @Field(() => String, { description: 'Its name, as in the file.' })
  name: string;

  @Field(() => ColumnTypeEnum, { description: 'What its values are.' })
  type: ColumnType;

  @Field(() => ColumnRoleEnum, { description: 'What it seems to be good for.' })
  role: ColumnRole;

  @Field(() => Boolean, { description: 'For numbers and dates: whether every value is whole.' })
  whole: boolean;

  @Field(() => [String], {
    description: 'For a category: the values that at least five rows hold, in order. All others are treated as unseen.',
  })
  categories: readonly string[];
}

@ObjectType({ description: 'A share of the rows, and the value below which they lie.' })
export class Quantile {
  @Field(() => Float, { description: 'The share, from 0 to 1.' })
  share: number;

  @Field(() => Float, {
    description: 'The value, coarsened unless at least five rows hold it. Dates in epoch milliseconds.',
  })
  value: number;
}

@ObjectType({ description: 'How values are spread. Every bin holds at least five rows.' })
export class Histogram {
  @Field(() => [Float], {
    description: 'The inner edges, rising. The first and the last bin are open: nobody is told the extremes.',
  })
  edges: readonly number[];

  @Field(() => [Long], { description: 'Rows in each bin: one more than there are edges.' })
  counts: readonly number[];
}

@ObjectType({ description: 'A value that at least five rows hold.' })
export class FrequentValue {
  @Field(() => String, { description: 'The value as text.' })
  value: string;

  @Field(() => Long, { description: 'How many rows hold it.' })
  count: number;
}

@ObjectType({ description: 'What may be told about the values of a column: nothing that fewer than five rows hold.' })
export class ColumnProfile {
  @Field(() => String, { description: 'The name of the column.' })
  name: string;

  @Field(() => Long, { description: 'Rows without a value, those with a non-finite number included.' })
  missing: number;

  @Field(() => Long, { description: 'Rows with NaN or an infinity, which count as missing.' })
  nonFinite: number;

  @Field(() => Long, { description: 'Different values; exact.' })
  distinct: number;

  @Field(() => Float, {
    nullable: true,
    description: 'The mean of numbers and dates, the share of true ones; null below ten rows.',
  })
  mean: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'The sample standard deviation of numbers and dates; null below ten rows.',
  })
  standardDeviation: number | null;

  @Field(() => [Quantile], { description: 'Quantiles of numbers and dates, as far as five rows lie on either side.' })
  quantiles: readonly Quantile[];

  @Field(() => Histogram, { nullable: true, description: 'How numbers and dates are spread.' })
  histogram: Histogram | null;

  @Field(() => [FrequentValue], { description: 'The most frequent values, at most twenty, most frequent first.' })
  frequent: readonly FrequentValue[];

  @Field(() => Long, { description: 'Rows with a value that is not among the frequent ones.' })
  otherCount: number;
}

@ObjectType({ description: 'A line that could not be read. Its content is told to nobody.' })
export class RejectedLine {
  @Field(() => Long, { description: 'Its number, from 1.' })
  line: number;

  @Field(() => RejectReasonEnum, { description: 'Why.' })
  reason: RejectReason;
}

@ObjectType({ implements: Node, description: 'An immutable state of a dataset: one file, read once.' })
export class DatasetVersion extends Node {
  @Field(() => ID, { description: 'Its dataset.' })
  datasetId: string;

  @Field(() => Int, { description: 'Its number within the dataset, from 1.' })
  number: number;

  @Field(() => VersionStateEnum, { description: 'Where it stands.' })
  state: VersionState;

  @Field(() => FormatEnum, { nullable: true, description: 'The format of the file; null until it is read.' })
  format: Format | null;

  @Field(() => Long, { nullable: true, description: 'Rows read.' })
  rowCount: number | null;

  @Field(() => Long, { nullable: true, description: 'Lines that could not be read.' })
  rejectedCount: number | null;

  @Field(() => [RejectedLine], { nullable: true, description: 'The first hundred of them.' })
  rejects: readonly RejectedLine[] | null;

  @Field(() => String, {
    nullable: true,
    description: 'SHA-256 over the typed columns, in hexadecimal: the same for the same table in any format.',
  })
  digest: string | null;

  @Field(() => [DatasetColumn], { nullable: true, description: 'Its columns, in the order of the file.' })
  columns: readonly DatasetColumn[] | null;

  @Field(() => [ColumnProfile], { nullable: true, description: 'What may be told about their values.' })
  profile: readonly ColumnProfile[] | null;

  @Field(() => String, { nullable: true, description: 'Why it was refused, for a program.' })
  errorCode: string | null;

  @Field(() => String, { nullable: true, description: 'Why it was refused, for a person.' })
  errorMessage: string | null;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When it became ready.' })
  readyAt: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'When its data was deleted.' })
  deletedAt: Date | null;
}

@ObjectType({
  implements: Node,
  description: 'Data of one kind, in immutable versions. No operation returns its rows.',
})
export class Dataset extends Node {
  @Field(() => String, { description: 'Its name.' })
  name: string;

  @Field(() => String, { nullable: true, description: 'What it is.' })
  description: string | null;

  @Field(() => DateTime, { description: 'When it was created.' })
  createdAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When its data was deleted.' })
  deletedAt: Date | null;
}

export const DatasetConnection = connectionOf(Dataset);
export const DatasetVersionConnection = connectionOf(DatasetVersion);

@InputType({ description: 'A file to be sent.' })
export class CreateUploadInput {
  @Field(() => Long, { description: 'Its size in bytes.' })
  sizeBytes: number;

  @Field(() => String, { description: 'Its SHA-256, in hexadecimal.' })
  sha256: string;

  @Field(() => String, { nullable: true, description: 'Its name, for people.' })
  fileName?: string | null;
}

@ObjectType({ description: 'Where to send a file.' })
export class CreateUploadPayload {
  @Field(() => Upload, { description: 'The upload.' })
  upload: Upload;

  @Field(() => String, {
    description: 'The address to send the file to, for an hour. It is told once, and needs no other credential.',
  })
  url: string;

  @Field(() => String, { description: 'The HTTP method: PUT. An interrupted one can be repeated from the start.' })
  method: string;
}
export const CreateUploadResult = resultOf(CreateUploadPayload);

@InputType({ description: 'A dataset from a file that has been received.' })
export class CreateDatasetInput {
  @Field(() => String, { description: 'Its name, 1 to 200 characters.' })
  name: string;

  @Field(() => ID, { description: 'The upload, received and not used yet.' })
  uploadId: string;

  @Field(() => String, { nullable: true, description: 'What it is.' })
  description?: string | null;
}

@ObjectType({ description: 'The new dataset.' })
export class CreateDatasetPayload {
  @Field(() => Dataset, { description: 'The dataset.' })
  dataset: Dataset;

  @Field(() => DatasetVersion, { description: 'Its first version, which is being read now.' })
  version: DatasetVersion;
}
export const CreateDatasetResult = resultOf(CreateDatasetPayload);

@InputType({ description: 'The next version of a dataset.' })
export class CreateDatasetVersionInput {
  @Field(() => ID, { description: 'The dataset.' })
  datasetId: string;

  @Field(() => ID, { description: 'The upload, received and not used yet.' })
  uploadId: string;
}

@ObjectType({ description: 'The new version.' })
export class CreateDatasetVersionPayload {
  @Field(() => DatasetVersion, { description: 'The version, which is being read now.' })
  version: DatasetVersion;
}
export const CreateDatasetVersionResult = resultOf(CreateDatasetVersionPayload);

@InputType({ description: 'The dataset to delete.' })
export class DeleteDatasetInput {
  @Field(() => ID, { description: 'The dataset.' })
  datasetId: string;
}

@ObjectType({ description: 'The deleted dataset.' })
export class DeleteDatasetPayload {
  @Field(() => Dataset, { description: 'The dataset, without its data.' })
  dataset: Dataset;
}
export const DeleteDatasetResult = resultOf(DeleteDatasetPayload);
