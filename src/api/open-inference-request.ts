import { isUtf8 } from 'node:buffer';
import { TensorRows } from '../domain/serving/predict.service.js';
import { AppError } from '../platform/errors.js';

type Tensor = ConstructorParameters<typeof TensorRows>[0][number];

/** An inference request, taken apart but not looked into: the decision point comes first. */
export interface InferenceRequest {
  /** Returned with the answer. */
  readonly id: string | null;
  readonly agreement: string | null;
  readonly purpose: string | null;
  readonly idempotencyKey: string | null;
  readonly declaredRegion: string | null;
  readonly rows: TensorRows;
  /** What is wanted: whether as bytes, by the name of the output. Null: everything. */
  readonly outputs: ReadonlyMap<string, boolean> | null;
  /** Whether an output of which the request says nothing comes as bytes. */
  readonly binary: boolean;
}

/** Of the header in JSON and of names in it; what the body as a whole may have is checked when it is read. */
const MOST_TENSORS = 10_000;
const MOST_OUTPUTS = 100;
const MOST_ID = 1000;

/** What clients of the protocol send along, and what means nothing here. */
const IGNORED = new Set([
  'priority',
  'timeout',
  'content_type',
  'headers',
  'sequence_id',
  'sequence_start',
  'sequence_end',
]);
const OUTPUTS = new Set(['label', 'scores', 'value']);

/**
 * Reads a body: JSON, or (binary tensor data extension) JSON of `headerLength` bytes and then the bytes of those tensors that name a
 * `binary_data_size`, in their order. Throws MALFORMED_REQUEST for what is no such request, INVALID_INPUT for what it asks in vain.
 */
export function parseInference(body: Buffer, headerLength: string | undefined): InferenceRequest {
  const headerBytes = headerLength === undefined ? body.length : lengthOf(headerLength, body.length);
  const request = parseJson(headerBytes === body.length ? body : body.subarray(0, headerBytes));
  const { id, inputs, outputs, parameters } = request;
  if (id !== undefined && (typeof id !== 'string' || id.length > MOST_ID))
    throw malformed(`\`id\` must be a text of at most ${MOST_ID} characters.`);
  if (!Array.isArray(inputs) || inputs.length === 0 || inputs.length > MOST_TENSORS)
    throw malformed(`\`inputs\` must be a list of 1 to ${MOST_TENSORS} tensors.`);
  const bytes = new Reader(body, headerBytes);
  const tensors = inputs.map((input) => tensorOf(input, bytes));
  bytes.finish();
  const asked = parametersOf(parameters);
  return {
    id: id ?? null,
    ...asked,
    rows: new TensorRows(tensors),
    outputs: outputsOf(outputs, asked.binary),
  };
}

function parseJson(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw malformed('The JSON is not UTF-8.');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's message quotes the body.
    throw malformed('The body is not JSON.');
  }
  if (!isObject(value)) throw malformed('The body must be one JSON object.');
  return value;
}

function lengthOf(text: string, bodyBytes: number): number {
  const length = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!(length <= bodyBytes))
    throw malformed(
      `The header inference-header-content-length must be a whole number up to ${bodyBytes}, the body’s length.`,
    );
  return length;
}

/** The bytes after the JSON, from tensor to tensor. */
class Reader {
  constructor(
    private readonly body: Buffer,
    private at: number,
  ) {}

  take(sizeBytes: unknown): Uint8Array {
    if (!Number.isSafeInteger(sizeBytes) || (sizeBytes as number) < 0)
      throw malformed('`binary_data_size` must be a whole number of bytes.');
    const end = this.at + (sizeBytes as number);
    if (end > this.body.length) throw malformed('The body is shorter than its tensors’ `binary_data_size` say.');
    const part = this.body.subarray(this.at, end);
    this.at = end;
    return part;
  }

  finish(): void {
    if (this.at !== this.body.length)
      throw malformed(`${this.body.length - this.at} bytes of the body belong to no tensor.`);
  }
}

function tensorOf(input: unknown, bytes: Reader): Tensor {
  if (!isObject(input)) throw malformed('Each of `inputs` must be an object.');
  const { name, shape, datatype, data, parameters } = input;
  if (typeof name !== 'string') throw malformed('Each of `inputs` needs a `name`.');
  if (typeof datatype !== 'string') throw malformed('Each of `inputs` needs a `datatype`.');
  if (!Array.isArray(shape) || shape.length < 1 || shape.length > 2 || !shape.every(isSize))
    throw malformed('The `shape` of each of `inputs` must be [rows] or [rows, columns], below 2^31.');
  const { binary_data_size: sizeBytes, shared_memory_region: region } = optionalObject(parameters, 'parameters');
  if (region !== undefined) throw malformed('Shared memory is not taken.');
  if (sizeBytes !== undefined) {
    if (data !== undefined) throw malformed('A tensor has either `data` or `binary_data_size`.');
    return { name, datatype, shape, data: bytes.take(sizeBytes) };
  }
  if (!Array.isArray(data)) throw malformed('Each of `inputs` needs `data`, a list, or `binary_data_size`.');
  return { name, datatype, shape, data: data as unknown[] };
}

type Parameters = Pick<InferenceRequest, 'agreement' | 'purpose' | 'idempotencyKey' | 'declaredRegion' | 'binary'>;

const NO_PARAMETERS: Parameters = {
  agreement: null,
  purpose: null,
  idempotencyKey: null,
  declaredRegion: null,
  binary: false,
};

/** A parameter that nothing heeds is refused: it may be a misspelt agreement. */
function parametersOf(value: unknown): Parameters {
  if (value === undefined) return NO_PARAMETERS;
  const {
    agreement,
    purpose,
    idempotency_key: key,
    declared_region: region,
    binary_data_output: binary,
    ...others
  } = optionalObject(value, 'parameters');
  for (const name of Object.keys(others))
    if (!IGNORED.has(name))
      throw new AppError('INVALID_INPUT', `There is no parameter ${JSON.stringify(name.slice(0, 100))}.`, {
        field: 'parameters',
        remedy: 'Send agreement, purpose, idempotency_key, declared_region or binary_data_output.',
      });
  return {
    agreement: textOf(agreement, 'agreement'),
    purpose: textOf(purpose, 'purpose'),
    idempotencyKey: textOf(key, 'idempotency_key'),
    declaredRegion: textOf(region, 'declared_region'),
    binary: flagOf(binary, 'binary_data_output') ?? false,
  };
}

function outputsOf(value: unknown, binary: boolean): ReadonlyMap<string, boolean> | null {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return null;
  if (!Array.isArray(value) || value.length > MOST_OUTPUTS)
    throw malformed(`\`outputs\` must be a list of at most ${MOST_OUTPUTS}.`);
  const wanted = new Map<string, boolean>();
  for (const output of value) {
    const { name, parameters } = isObject(output) ? output : {};
    if (typeof name !== 'string' || !OUTPUTS.has(name))
      throw new AppError('INVALID_INPUT', 'An output that is asked for does not exist.', {
        field: 'outputs',
        remedy: `Ask for ${[...OUTPUTS].join(', ')}, as the model’s metadata list them.`,
      });
    const { binary_data: own, classification } = optionalObject(parameters, 'parameters');
    if (classification !== undefined)
      throw new AppError('INVALID_INPUT', 'The classification extension is not there.', {
        field: 'outputs',
        remedy: 'Ask for the output label.',
      });
    wanted.set(name, flagOf(own, 'binary_data') ?? binary);
  }
  return wanted;
}

function textOf(value: unknown, name: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' && value.length <= MOST_ID) return value;
  throw new AppError('INVALID_INPUT', `The parameter ${name} must be a text.`, { field: `parameters.${name}` });
}

function flagOf(value: unknown, name: string): boolean | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value;
  throw new AppError('INVALID_INPUT', `The parameter ${name} must be true or false.`, { field: `parameters.${name}` });
}

function optionalObject(value: unknown, name: string): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (isObject(value)) return value;
  throw malformed(`\`${name}\` must be an object.`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The number of rows is recorded even where it is refused for being too large: as 32 bits, whatever the caller says. */
function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;
}

function malformed(message: string): AppError {
  return new AppError('MALFORMED_REQUEST', message, {
    remedy: 'Send an inference request of the Open Inference Protocol v2.',
  });
}
