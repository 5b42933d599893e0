import { createHash, hash } from 'node:crypto';
import type { Feeds, Signature } from '../../ml/infer.js';
import canonicalize from 'canonicalize';
import type { Told } from './explanation.js';

/*
 * What a log entry says of contents: digests with a salt (16 bytes) that goes to the caller and to no one else. Without it the
 * other party of the agreement could guess inputs and labels from their digests.
 */

// What is short is put together here and hashed at one go: a third of the time of a Hash object that is fed piece by piece.
const SCRATCH_BYTES = 16 * 1024;
const scratch = Buffer.alloc(SCRATCH_BYTES);
const numbers = new DataView(scratch.buffer, scratch.byteOffset, SCRATCH_BYTES);

/**
 * SHA-256 (salt || "input:" || header || columns) of the rows as the model takes them. header: JSON of [rows, [name,
 * kind], …], sorted by name, so that it does not depend on the version that an endpoint routes to. Columns in that order:
 * numbers and booleans as float32, dates as int64 (both little-endian), categories as a JSON array of strings. Numbers as
 * text would cost more than the inference.
 */
export function commitToInput(salt: Buffer, inputs: Signature['inputs'], feeds: Feeds): Buffer {
  const { rowCount, from, columns } = feeds;
  const layout = layoutOf(inputs);
  const begin = beginningOf(layout, inputs, rowCount);
  if (layout.areFloats && salt.length + begin.length + 4 * rowCount * columns.length <= SCRATCH_BYTES) {
    salt.copy(scratch, 0);
    begin.copy(scratch, salt.length);
    let at = salt.length + begin.length;
    for (const place of layout.order) {
      const column = columns[place] as Float32Array;
      for (let i = from; i < from + rowCount; i++, at += 4) numbers.setFloat32(at, column[i]!, true);
    }
    return hash('sha256', scratch.subarray(0, at), 'buffer');
  }
  const digest = createHash('sha256').update(salt).update(begin);
  for (const place of layout.order) {
    const column = columns[place]!.slice(from, from + rowCount);
    if (Array.isArray(column)) digest.update(JSON.stringify(column), 'utf8');
    else digest.update(column);
  }
  return digest.digest();
}

/** How the columns of a model are hashed; once per loaded model. */
interface Layout {
  /** The places of the inputs, sorted by name (UTF-16 units). */
  readonly order: readonly number[];
  readonly areFloats: boolean;
  /** What comes before the values of a single row. */
  ofOneRow: Buffer | null;
}

const layouts = new WeakMap<Signature['inputs'], Layout>();

function layoutOf(inputs: Signature['inputs']): Layout {
  let layout = layouts.get(inputs);
  if (!layout) {
    const order = inputs.map((_, at) => at).sort((a, b) => (inputs[a]!.name < inputs[b]!.name ? -1 : 1));
    const areFloats = inputs.every(({ kind }) => kind === 'number' || kind === 'boolean');
    layouts.set(inputs, (layout = { order, areFloats, ofOneRow: null }));
  }
  return layout;
}

function beginningOf(layout: Layout, inputs: Signature['inputs'], rowCount: number): Buffer {
  if (rowCount === 1 && layout.ofOneRow) return layout.ofOneRow;
  const header = [rowCount, ...layout.order.map((at) => [inputs[at]!.name, inputs[at]!.kind])];
  const bytes = Buffer.from(`input:${JSON.stringify(header)}`, 'utf8');
  if (rowCount === 1) layout.ofOneRow = bytes;
  return bytes;
}

const OUTPUT = 'output:';

/**
 * SHA-256 (salt || "output:" || canonical JSON (RFC 8785) of labels, scores, values, and of the explanation if there is one) of what
 * was disclosed.
 */
export function commitToAnswer(salt: Buffer, answer: Told): Buffer {
  const text = OUTPUT + canonicalAnswer(answer);
  // A UTF-16 unit has three bytes at most.
  if (salt.length + 3 * text.length > SCRATCH_BYTES) return createHash('sha256').update(salt).update(text).digest();
  salt.copy(scratch, 0);
  return hash('sha256', scratch.subarray(0, salt.length + scratch.write(text, salt.length, 'utf8')), 'buffer');
}

/** JSON.stringify writes strings and numbers as the RFC does; only the order of the names is left to see to. */
export function canonicalAnswer({ explanation, labels, scores, values }: Told): string {
  let told = 'null';
  if (scores) {
    told = '';
    for (const name of Object.keys(scores).sort())
      told += `${told && ','}${JSON.stringify(name)}:${numbersText(scores[name]!)}`;
    told = `{${told}}`;
  }
  const explained = explanation ? `"explanation":${canonicalize(explanation)},` : '';
  return `{${explained}"labels":${JSON.stringify(labels)},"scores":${told},"values":${JSON.stringify(values)}}`;
}

/** As JSON.stringify, which costs three times as much for a single row. */
function numbersText(numbers: readonly (number | null)[]): string {
  return numbers.length === 1 ? `[${numbers[0]}]` : JSON.stringify(numbers);
}
