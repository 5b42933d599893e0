import {
  DATATYPES_OF,
  type Feeds,
  type InputTensor,
  MATRIX,
  type RawValue,
  type Signature,
  writeInputs,
  writeTensors,
} from '../../ml/infer.js';
import type { PublishedSignature } from './endpoint.entity.js';

/** Rows in the form in which a door got them: read by the signature of a model, once it is known which one may answer. */
export interface Rows {
  /** Of the longest column: what a request must at least be charged for. Whether all are equal is checked when they are read. */
  readonly rowCount: number;
  /** Into the rows of `feeds`, as a model takes them. Throws InputError. */
  write(inputs: Signature['inputs'], published: PublishedSignature['inputs'], feeds: Feeds): void;
}

/** Lists of plain values by the name of the column. */
export class ColumnRows implements Rows {
  readonly rowCount: number;

  constructor(private readonly columns: Readonly<Record<string, readonly unknown[]>>) {
    let rowCount = 0;
    for (const column of Object.values(columns)) rowCount = Math.max(rowCount, column.length);
    this.rowCount = rowCount;
  }

  write(inputs: Signature['inputs'], _: PublishedSignature['inputs'], feeds: Feeds): void {
    writeInputs(inputs, this.columns as Readonly<Record<string, readonly RawValue[]>>, feeds);
  }
}

/** Tensors, the first dimension of which is the row. */
export class TensorRows implements Rows {
  readonly rowCount: number;

  constructor(private readonly tensors: readonly InputTensor[]) {
    let rowCount = 0;
    for (const { shape } of tensors) rowCount = Math.max(rowCount, shape[0] ?? 0);
    this.rowCount = rowCount;
  }

  write(inputs: Signature['inputs'], published: PublishedSignature['inputs'], feeds: Feeds): void {
    writeTensors(inputs, published, this.tensors, feeds);
  }
}

/** The datatype under which a column of this kind is published; others are taken as well. */
export function datatypeOf(kind: PublishedSignature['inputs'][number]['kind']): string {
  return [...DATATYPES_OF[kind]][0]!;
}

/** The name of the one tensor that may stand for all columns; null where not all of them are numbers. */
export function matrixName({ inputs }: PublishedSignature): string | null {
  return inputs.every(({ kind }) => kind === 'number' || kind === 'boolean') ? MATRIX : null;
}
