/**
 * Builds an ONNX model: nodes are appended in the order of their use and named by number, so the same calls give the same bytes.
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 *
 * IR 10, opset 21 and ai.onnx.ml 5 came together with ONNX 1.16. Seen to answer alike: ONNX Runtime 1.23, 1.24 and 1.30; 1.21 and
 * 1.22 too, but they unroll sets of more than thirty categories without end; 1.20 has no TreeEnsemble and runs linear models only.
 */
import { ProtoWriter } from './proto.js';

export const IR_VERSION = 10;
export const OPSET = 21;
export const ML_OPSET = 5;
export const ML = 'ai.onnx.ml';

/** TensorProto.DataType */
export const DataType = { float: 1, uint8: 2, int64: 7, string: 8, bool: 9, double: 11 } as const;
export type DataTypeCode = (typeof DataType)[keyof typeof DataType];

export interface TensorValue {
  readonly dims: readonly number[];
  readonly data: Float32Array | Float64Array | BigInt64Array | Uint8Array | readonly string[];
}

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: ArrayLike<number> }
  | { readonly floats: Float32Array }
  | { readonly strings: readonly string[] }
  | { readonly tensor: TensorValue };

/** A dimension is a number or a name; the rows of a batch are 'N'. */
export type Dimension = number | string;

const OUTPUTS = ['label', 'scores', 'classes', 'value'];

/**
 * The tensor of a raw column: its own name, except where that would be empty, an output's name, one of our numbered values, or
 * hold a NUL, at which the C interface ends a name.
 */
export function tensorName(column: string): string {
  const taken = column === '' || OUTPUTS.includes(column) || /^(input|step):/.test(column) || column.includes('\0');
  return taken ? `input:${encodeURIComponent(column)}` : column;
}

export class GraphBuilder {
  private readonly graph = new ProtoWriter();
  private readonly initializers = new ProtoWriter();
  private readonly values = new ProtoWriter();
  private count = 0;

  input(name: string, type: DataTypeCode, dims: readonly Dimension[]): void {
    this.values.message(11, (value) => writeValue(value, name, type, dims));
  }

  /** Declares a value as an answer. */
  output(name: string, type: DataTypeCode, dims: readonly Dimension[]): void {
    this.values.message(12, (value) => writeValue(value, name, type, dims));
  }

  /** A constant, kept in the file. */
  constant(data: TensorValue['data'], dims: readonly number[] = [data.length], output?: string): string {
    const name = output ?? `step:${this.count++}`;
    this.initializers.message(5, (tensor) => writeTensor(tensor, { data, dims }, name));
    return name;
  }

  scalar(value: number): string {
    return this.constant(Float64Array.of(value), []);
  }

  /** Appends an operator of one output and returns the output's name: `output`, or the next number. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output?: string,
  ): string {
    const name = output ?? `step:${this.count++}`;
    this.graph.message(1, (node) => {
      for (const input of inputs) node.string(1, input);
      node.string(2, name).string(4, op);
      for (const [key, value] of Object.entries(attributes))
        node.message(5, (attribute) => writeAttribute(attribute, key, value));
      if (ML_OPERATORS.has(op)) node.string(7, ML);
    });
    return name;
  }

  cast(input: string, to: DataTypeCode, output?: string): string {
    return this.node('Cast', [input], { to: { int: to } }, output);
  }

  /** Side by side along the second axis; one alone is itself. */
  concat(inputs: readonly string[], output?: string): string {
    if (inputs.length === 1 && output === undefined) return inputs[0]!;
    return this.node('Concat', inputs, { axis: { int: 1 } }, output);
  }

  finish(name: string, metadata: readonly (readonly [string, string])[]): Uint8Array {
    const model = new ProtoWriter().integer(1, IR_VERSION).string(2, 'concordat');
    model.message(7, (graph) => {
      graph.append(this.graph).string(2, name).append(this.initializers).append(this.values);
    });
    model.message(8, (opset) => opset.string(1, '').integer(2, OPSET));
    model.message(8, (opset) => opset.string(1, ML).integer(2, ML_OPSET));
    for (const [key, value] of metadata) model.message(14, (entry) => entry.string(1, key).string(2, value));
    return model.finish().slice();
  }
}

const ML_OPERATORS = new Set(['LabelEncoder', 'TreeEnsemble']);

function writeValue(value: ProtoWriter, name: string, type: DataTypeCode, dims: readonly Dimension[]): void {
  value.string(1, name).message(2, (valueType) =>
    valueType.message(1, (tensor) =>
      tensor.integer(1, type).message(2, (shape) => {
        for (const dim of dims)
          shape.message(1, (d) => (typeof dim === 'number' ? d.integer(1, dim) : d.string(2, dim)));
      }),
    ),
  );
}

function writeTensor(tensor: ProtoWriter, { dims, data }: TensorValue, name?: string): void {
  tensor.packed(1, dims).integer(2, dataTypeOf(data));
  if (name !== undefined) tensor.string(8, name);
  if (ArrayBuffer.isView(data)) tensor.raw(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  else for (const text of data) tensor.string(6, text);
}

function dataTypeOf(data: TensorValue['data']): DataTypeCode {
  if (data instanceof Float32Array) return DataType.float;
  if (data instanceof Float64Array) return DataType.double;
  if (data instanceof BigInt64Array) return DataType.int64;
  return data instanceof Uint8Array ? DataType.uint8 : DataType.string;
}

/** The last field, 20, is AttributeProto.AttributeType. */
function writeAttribute(attribute: ProtoWriter, name: string, value: Attribute): void {
  attribute.string(1, name);
  if ('int' in value) attribute.integer(3, value.int).integer(20, 2);
  else if ('float' in value) attribute.float(2, value.float).integer(20, 1);
  else if ('ints' in value) attribute.packed(8, value.ints).integer(20, 7);
  else if ('floats' in value)
    attribute
      .raw(7, new Uint8Array(value.floats.buffer, value.floats.byteOffset, value.floats.byteLength))
      .integer(20, 6);
  else if ('strings' in value) {
    for (const text of value.strings) attribute.string(9, text);
    attribute.integer(20, 8);
  } else attribute.message(5, (tensor) => writeTensor(tensor, value.tensor)).integer(20, 4);
}
