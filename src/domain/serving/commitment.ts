import { createHash } from 'node:crypto';
import type { Answer } from './disclose.js';

/**
 * What a log entry says of contents: SHA-256 (salt || name || ":" || canonical JSON), hexadecimal. The salt (16 bytes) goes to the
 * caller and to no one else: without it the other party of the agreement could guess inputs and labels from their digests.
 */
export function commitTo(salt: Buffer, name: 'input' | 'output', json: readonly string[]): string {
  const hash = createHash('sha256').update(salt).update(`${name}:`);
  for (const part of json) hash.update(part, 'utf8');
  return hash.digest('hex');
}

/** Canonical JSON (RFC 8785) of named columns, in parts. JSON.stringify writes arrays of scalars as the RFC does. */
export function canonicalColumns(columns: Readonly<Record<string, readonly unknown[]>>): string[] {
  const names = Object.keys(columns).sort();
  return [
    ...names.flatMap((name, i) => [i ? ',' : '{', JSON.stringify(name), ':', JSON.stringify(columns[name])]),
    names.length ? '}' : '{}',
  ];
}

export function canonicalAnswer({ labels, scores, values }: Answer): string[] {
  const told = scores ? canonicalColumns(scores) : ['null'];
  return ['{"labels":', JSON.stringify(labels), ',"scores":', ...told, ',"values":', JSON.stringify(values), '}'];
}
