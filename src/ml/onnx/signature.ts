/**
 * What a model takes and answers, as JSON in the file's metadata: kept there so that the file alone is enough to serve it.
 */
import { z } from 'zod';
import { type FittedModel } from '../core/model.js';
import { readFields, readString } from './proto.js';

export const SIGNATURE_KEY = 'concordat.signature';

const schema = z.object({
  format: z.literal(1),
  task: z.enum(['binary', 'multiclass', 'regression']),
  target: z.string(),
  classes: z.array(z.string()).nullable(),
  threshold: z.number(),
  inputs: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['number', 'boolean', 'date', 'category']),
      categories: z.array(z.string()).nullable(),
    }),
  ),
});

export type Signature = Readonly<z.infer<typeof schema>>;

export function writeSignature({ task, target, classes, threshold, inputs }: FittedModel): string {
  const columns = inputs.map(({ name, kind, categories }) => ({ name, kind, categories }));
  return JSON.stringify({ format: 1, task, target, classes, threshold, inputs: columns });
}

/** All metadata of an ONNX file (ModelProto.metadata_props, field 14). Throws RangeError or TypeError on malformed bytes. */
export function readMetadata(onnx: Uint8Array): Map<string, string> {
  const metadata = new Map<string, string>();
  readFields(onnx, (field, entry) => {
    if (field !== 14) return;
    let key = '';
    let value = '';
    readFields(entry, (part, text) => {
      if (part === 1) key = readString(text);
      if (part === 2) value = readString(text);
    });
    metadata.set(key, value);
  });
  return metadata;
}

/** Throws Error where the file carries no signature of ours. */
export function readSignature(onnx: Uint8Array): Signature {
  const text = readMetadata(onnx).get(SIGNATURE_KEY);
  if (text === undefined) throw new Error('The file carries no signature: it is not a model of ours.');
  return schema.parse(JSON.parse(text));
}
