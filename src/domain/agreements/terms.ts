import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { AppError } from '../../platform/errors.js';
import { type Purpose, PURPOSES } from './purpose.js';

/** What may be told of an answer. `digits`: decimals of a score or a value. */
export type Disclosure = { readonly kind: 'LABEL_ONLY' } | { readonly kind: 'SCORES'; readonly digits: number };

/** What both parties sign. Every term is enforced; a limit that is null is one that the parties did not set. */
export interface Terms {
  /** Sorted, without repetition. */
  readonly purposes: readonly Purpose[];
  /** ISO 8601, UTC; `until` is the first moment out of force. */
  readonly period: { readonly from: string; readonly until: string };
  /** Rows a UTC day. */
  readonly rowsPerDay: number | null;
  readonly rowsInTotal: number | null;
  readonly disclosure: Disclosure;
}

const rows = z.int().min(1).max(1e12).nullable();
const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());

/** Strict at every level: a term that nothing enforces must be refused, never kept. */
const TermsSchema = z.strictObject({
  purposes: z
    .array(z.enum(Object.keys(PURPOSES) as [Purpose, ...Purpose[]]))
    .min(1, 'needs at least one purpose')
    .transform((list) => [...new Set(list)].sort()),
  period: z
    .strictObject({ from: moment, until: moment })
    .refine(({ from, until }) => from < until, 'must end after it begins'),
  rowsPerDay: rows,
  rowsInTotal: rows,
  disclosure: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('LABEL_ONLY') }),
    z.strictObject({ kind: z.literal('SCORES'), digits: z.int().min(0).max(6) }),
  ]),
});

/** Checks and normalises; throws INVALID_INPUT naming the first term at fault. */
export function parseTerms(value: unknown): Terms {
  const parsed = TermsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = ['input', 'terms', ...issue!.path].join('.');
  throw new AppError(
    'INVALID_INPUT',
    `The terms cannot be offered: ${field.slice('input.'.length)}: ${issue!.message}.`,
    {
      field,
      remedy: 'Use the terms that docs/agreements.md lists; each of them is enforced.',
    },
  );
}

export interface AgreementDocument {
  readonly format: 'concordat-agreement/1';
  readonly agreementId: string;
  readonly version: number;
  readonly providerTenantId: string;
  readonly consumerTenantId: string;
  readonly endpointId: string;
  readonly terms: Terms;
}

/** The exact bytes that are signed: canonical JSON (RFC 8785) that names the parties, so that no signature fits elsewhere. */
export function canonicalDocument(document: AgreementDocument): { readonly text: string; readonly digest: Buffer } {
  const text = canonicalize(document)!;
  return { text, digest: createHash('sha256').update(text, 'utf8').digest() };
}

/** The terms as a person would want to read them. */
export function summarise(terms: Terms): string {
  const { period, rowsPerDay, rowsInTotal, disclosure } = terms;
  const count = (n: number) => n.toLocaleString('en-GB');
  const limits = [
    ...(rowsPerDay === null ? [] : [`at most ${count(rowsPerDay)} rows a day (UTC)`]),
    ...(rowsInTotal === null ? [] : [`at most ${count(rowsInTotal)} rows in total`]),
  ];
  const told =
    disclosure.kind === 'LABEL_ONLY' ? 'the label only' : `labels and scores rounded to ${disclosure.digits} decimals`;
  const purposes = terms.purposes.map((purpose) => purpose.toLowerCase().replaceAll('_', ' ')).join(', ');
  return (
    `From ${period.from.slice(0, 16)} until ${period.until.slice(0, 16)} UTC, for ${purposes}: ` +
    `${limits.length > 0 ? limits.join(', ') : 'without a limit of rows'}; answers tell ${told}.`
  );
}
