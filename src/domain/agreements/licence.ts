import { z } from 'zod';
import { AppError, type BrokenLimit } from '../../platform/errors.js';
import { type Purpose, purposeAllowed, PURPOSES } from './purpose.js';
import type { AgreedTerms } from './terms.js';

/** What may be done with models that were trained on a dataset version. Null: no limit. */
export interface DataLicence {
  /** Sorted, without repetition; those below them too. */
  readonly purposes: readonly Purpose[] | null;
  /** Sorted, without repetition. */
  readonly regions: readonly string[] | null;
  /** Whether they may answer other tenants. */
  readonly mayBeOffered: boolean;
  /** The first moment at which they may answer others no more. */
  readonly until: Date | null;
}

export type LineagePath = BrokenLimit['path'];

/** The licence of data from which a model version comes. */
export interface LicensedData extends DataLicence {
  /** From the dataset version for which it was declared to the model version. */
  readonly path: LineagePath;
  /** Another tenant has declared it, of whose limits the one who broke them learns which, and no more. */
  readonly isForeign?: boolean;
}

/** Why terms break a limit of data. */
export interface LicenceBreak extends BrokenLimit {
  readonly sentence: string;
}

/** What of the terms a licence can limit. */
export type LimitedTerms = Pick<AgreedTerms, 'purposes' | 'regions'> & {
  readonly period: Pick<AgreedTerms['period'], 'until'>;
};

const LicenceSchema = z.strictObject({
  purposes: z
    .array(z.enum(Object.keys(PURPOSES) as [Purpose, ...Purpose[]]))
    .min(1)
    .transform((list) => [...new Set(list)].sort())
    .nullable(),
  regions: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/))
    .min(1)
    .max(50)
    .transform((list) => [...new Set(list)].sort())
    .nullable(),
  mayBeOffered: z.boolean(),
  until: z.date().nullable(),
});

/** Throws INVALID_INPUT naming what is at fault. */
export function parseLicence(value: unknown): DataLicence {
  const parsed = LicenceSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AppError('INVALID_INPUT', `The limits cannot be declared: ${issue!.path.join('.')}: ${issue!.message}.`, {
    field: ['input', ...issue!.path].join('.'),
  });
}

/** The first limit that the terms break, and why; null if they keep all of them. */
function brokenLimit(terms: LimitedTerms, licence: DataLicence): Pick<LicenceBreak, 'limit' | 'sentence'> | null {
  const { mayBeOffered, purposes, regions, until } = licence;
  if (!mayBeOffered) return { limit: 'OFFER', sentence: 'what is trained on them may not be offered to others' };
  const purpose = purposes && terms.purposes.find((one) => !purposeAllowed(purposes, one));
  if (purpose) return { limit: 'PURPOSES', sentence: `they may not be used for ${purpose}` };
  // Terms without regions allow every one.
  if (regions && (terms.regions === null || terms.regions.some((one) => !regions.includes(one))))
    return {
      limit: 'REGIONS',
      sentence: `they may be used in ${regions.join(', ')} only, which the terms have to say`,
    };
  if (until && new Date(terms.period.until) > until)
    return { limit: 'UNTIL', sentence: `they may be used until ${until.toISOString()} only` };
  return null;
}

/** The first of the data that forbids the terms; null if none does. */
export function licenceBreak(terms: LimitedTerms, data: readonly LicensedData[]): LicenceBreak | null {
  for (const { path, isForeign, ...licence } of data) {
    const broken = brokenLimit(terms, licence);
    if (broken) return { ...broken, path, sentence: isForeign ? WORDS[broken.limit] : broken.sentence };
  }
  return null;
}

/** LICENCE_BROKEN, as the one whose data they are is told it: with the whole way. */
export function licenceBroken({ limit, path, sentence }: LicenceBreak, field: string): AppError {
  const way = path.map(({ id }) => id).join(' → ');
  return new AppError('LICENCE_BROKEN', `The data forbid this: ${sentence} (${way}).`, {
    field,
    brokenLimit: { limit, path },
  });
}

/** The same as the other party is told it, to which neither the data nor what was made of them are known: the limit, and the end of the way. */
export function licenceBrokenElsewhere({ limit, path }: LicenceBreak, field: string): AppError {
  return new AppError('LICENCE_BROKEN', `The provider’s data forbid this: ${WORDS[limit]}.`, {
    field,
    brokenLimit: { limit, path: path.slice(-1) },
  });
}

const WORDS: Record<BrokenLimit['limit'], string> = {
  OFFER: 'nothing that is made of them may be offered',
  PURPOSES: 'they may not be used for all of these purposes',
  REGIONS: 'they may not be used in all of these regions',
  UNTIL: 'they may not be used for so long',
};
