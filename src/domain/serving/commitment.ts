import { createHash } from 'node:crypto';
import type { Feeds, Signature } from '../../ml/infer.js';
import canonicalize from 'canonicalize';
import type { Told } from './explanation.js';

/*
 * What a log entry says of contents: digests with a salt (16 bytes) that goes to the caller and to no one else. Without it the
 * other party of the agreement could guess inputs and labels from their digests.
 */

/**
 * SHA-256 (salt || "input:" || header || columns) of the rows as the model takes them. header: JSON of [rows, [name,
 * kind], …], sorted by name, so that it does not depend on the version that an endpoint routes to. Columns in that order:
 * numbers and booleans as float32, dates as int64 (both little-endian), categories as a JSON array of strings. Numbers as
 * text would cost more than the inference.
 */
export function commitToInput(salt: Buffer, inputs: Signature['inputs'], { rowCount, columns }: Feeds): Buffer {
  const order = byName(inputs);
  const header = JSON.stringify([rowCount, ...order.map((at) => [inputs[at]!.name, inputs[at]!.kind])]);
  const hash = createHash('sha256').update(salt).update(`input:${header}`, 'utf8');
  for (const at of order) {
    const column = columns[at]!;
    if (Array.isArray(column)) hash.update(JSON.stringify(column), 'utf8');
    else hash.update(column as Float32Array | BigInt64Array);
  }
  return hash.digest();
}

const orders = new WeakMap<Signature['inputs'], number[]>();

/** The places of the inputs, sorted by name (UTF-16 units); once per loaded model. */
function byName(inputs: Signature['inputs']): number[] {
  let order = orders.get(inputs);
  if (!order) {
    order = inputs.map((_, at) => at).sort((a, b) => (inputs[a]!.name < inputs[b]!.name ? -1 : 1));
    orders.set(inputs, order);
  }
  return order;
}

/**
 * SHA-256 (salt || "output:" || canonical JSON (RFC 8785) of labels, scores, values, and of the explanation if there is one) of what
 * was disclosed.
 */
export function commitToAnswer(salt: Buffer, answer: Told): Buffer {
  const hash = createHash('sha256').update(salt).update('output:');
  return hash.update(canonicalAnswer(answer), 'utf8').digest();
}

/** JSON.stringify writes strings and numbers as the RFC does; only the order of the names is left to see to. */
export function canonicalAnswer({ explanation, labels, scores, values }: Told): string {
  const names = scores && Object.keys(scores).sort();
  const told =
    names && `{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(scores![name])}`).join(',')}}`;
  const explained = explanation ? `"explanation":${canonicalize(explanation)},` : '';
  return `{${explained}"labels":${JSON.stringify(labels)},"scores":${told},"values":${JSON.stringify(values)}}`;
}
