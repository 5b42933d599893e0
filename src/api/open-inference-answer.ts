import type { Prediction } from '../domain/serving/predict.service.js';
import { ERRORS, type AppError } from '../platform/errors.js';
import type { InferenceRequest } from './open-inference-request.js';

/** Body of an answer; with bytes after the JSON, `headerLength` is that of the JSON. */
export interface InferenceAnswer {
  readonly body: string | Buffer;
  readonly headerLength: number | null;
}

type Signature = Prediction['signature'];

interface Output {
  readonly name: 'label' | 'scores' | 'value';
  readonly datatype: 'BYTES' | 'FP64';
  readonly shape: string;
  readonly values: readonly string[] | readonly number[];
}

/**
 * An inference response, written by hand: half the cost of an object and JSON.stringify. Scores and values are FP64, as disclosed, so
 * that the numbers are those of every other door to the last bit; scores are [rows, classes] in the order that the endpoint publishes.
 */
export function writeAnswer(model: string, request: InferenceRequest, prediction: Prediction): InferenceAnswer {
  const parts: Buffer[] = [];
  let outputs = '';
  for (const output of outputsOf(prediction)) {
    const binary = request.outputs ? request.outputs.get(output.name) : request.binary;
    if (binary === undefined) continue;
    const head = `{"name":"${output.name}","datatype":"${output.datatype}","shape":${output.shape}`;
    if (binary) {
      const bytes = bytesOf(output);
      parts.push(bytes);
      outputs += `${outputs && ','}${head},"parameters":{"binary_data_size":${bytes.length}}}`;
    } else outputs += `${outputs && ','}${head},"data":${jsonOf(output)}}`;
  }
  const id = request.id === null ? '' : `"id":${JSON.stringify(request.id)},`;
  const text =
    `{"model_name":${JSON.stringify(model)},"model_version":"${prediction.modelVersionId}",${id}` +
    `"parameters":${parametersOf(prediction)},"outputs":[${outputs}]}`;
  if (parts.length === 0) return { body: text, headerLength: null };
  const header = Buffer.from(text, 'utf8');
  return { body: Buffer.concat([header, ...parts]), headerLength: header.length };
}

/** Numbers and texts only, as the protocol says. */
function parametersOf(prediction: Prediction): string {
  const { id, agreementId, logIndex, leafHashHex, saltHex, at, latencyMs } = prediction;
  const agreement = agreementId === null ? '' : `"agreement":"${agreementId}",`;
  return (
    `{"prediction_id":"${id}",${agreement}"log_index":${logIndex},"leaf_hash":"${leafHashHex}","salt":"${saltHex}",` +
    `"at":"${at.toISOString()}","latency_ms":${latencyMs},"receipt":"${prediction.escapedReceipt}"}`
  );
}

function outputsOf({ labels, scores, values, rowCount, signature }: Prediction): Output[] {
  const outputs: Output[] = [];
  if (labels) outputs.push({ name: 'label', datatype: 'BYTES', shape: `[${rowCount}]`, values: toldOr(labels, '') });
  const classes = scores && signature.classes;
  if (classes) {
    const table = tableOf(scores, classes, rowCount);
    outputs.push({ name: 'scores', datatype: 'FP64', shape: `[${rowCount},${classes.length}]`, values: table });
  }
  if (values) outputs.push({ name: 'value', datatype: 'FP64', shape: `[${rowCount}]`, values: toldOr(values, NaN) });
  return outputs;
}

/** Row-major; NaN is a score that is not told. */
function tableOf(scores: NonNullable<Prediction['scores']>, classes: readonly string[], rowCount: number): number[] {
  const width = classes.length;
  const table = new Array<number>(rowCount * width).fill(NaN);
  for (let k = 0; k < width; k++) {
    // A class that is told of no row is left out; every object inherits a "constructor".
    const column = Object.hasOwn(scores, classes[k]!) ? scores[classes[k]!] : undefined;
    if (column) for (let i = 0; i < rowCount; i++) table[i * width + k] = column[i] ?? NaN;
  }
  return table;
}

/** Tensors have no null: what is not told is the empty text, or NaN. */
function toldOr<T extends string | number>(values: readonly (T | null)[], untold: T): readonly T[] {
  return values.includes(null) ? values.map((value) => value ?? untold) : (values as readonly T[]);
}

function jsonOf({ datatype, values }: Output): string {
  if (datatype === 'BYTES') return JSON.stringify(values);
  let text = '[';
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (i > 0) text += ',';
    // JSON has no NaN.
    text += value === value ? value : 'null';
  }
  return text + ']';
}

/** Little-endian; a text is its length (4 bytes) and its bytes. */
function bytesOf({ datatype, values }: Output): Buffer {
  if (datatype !== 'BYTES') return Buffer.from(Float64Array.from(values as readonly number[]).buffer);
  const texts = (values as readonly string[]).map((text) => Buffer.from(text, 'utf8'));
  return Buffer.concat(
    texts.flatMap((text) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(text.length);
      return [size, text];
    }),
  );
}

/** A refusal in the protocol's form: clients show `error` and nothing else, so the sentence has code and remedy in it. */
export function writeError(error: AppError, requestId: string): string {
  const { code, retryAfterMs } = error;
  const remedy = error.remedy.replaceAll('agreementId', 'the parameter agreement');
  return JSON.stringify({
    error: `${code}: ${error.message} ${remedy === ERRORS.INTERNAL.remedy ? '' : remedy}`.trim(),
    code,
    remedy,
    ...(error.field !== null && { field: fieldOf(error.field) }),
    ...(retryAfterMs !== null && { retryAfterMs }),
    requestId,
  });
}

/** Where the protocol has what the error calls by its place in GraphQL's input. */
function fieldOf(field: string): string {
  return field
    .replace(/^input\.columns/, 'inputs')
    .replace(/^input\.agreementId$/, 'parameters.agreement')
    .replace(/^input\.purpose$/, 'parameters.purpose')
    .replace(/^input\.idempotencyKey$/, 'parameters.idempotency_key')
    .replace(/^input\.declaredRegion$/, 'parameters.declared_region');
}

export interface Described {
  readonly model: string;
  readonly version: string;
  readonly signature: Signature;
  readonly datatypeOf: (kind: Signature['inputs'][number]['kind']) => string;
  readonly matrixName: (signature: Signature) => string | null;
}

/** What the endpoint takes and answers. `properties` holds what the protocol has no place for, as texts. */
export function metadataOf({ model, version, signature, datatypeOf, matrixName }: Described): object {
  const { classes, inputs, task } = signature;
  const matrix = matrixName(signature);
  return {
    name: model,
    versions: [version],
    platform: 'onnx_onnxv1',
    inputs: inputs.map(({ name, kind }) => ({ name, datatype: datatypeOf(kind), shape: [-1, 1] })),
    outputs: classes
      ? [
          { name: 'label', datatype: 'BYTES', shape: [-1] },
          { name: 'scores', datatype: 'FP64', shape: [-1, classes.length] },
        ]
      : [{ name: 'value', datatype: 'FP64', shape: [-1] }],
    properties: {
      task,
      ...(classes && { classes: JSON.stringify(classes) }),
      ...(matrix !== null && { matrix_input: matrix, matrix_shape: `[-1,${inputs.length}]` }),
    },
  };
}
