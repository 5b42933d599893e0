/** The fewest rows that must hold a value before anybody is shown it. */
export const FEWEST_ROWS = 5;

export const LIMITS = {
  columns: 4096,
  columnNameLength: 200,
  /** Bytes of one line of text. */
  lineBytes: 4 * 2 ** 20,
  /** Bytes of the footer of a Parquet file. */
  footerBytes: 64 * 2 ** 20,
  /** More rejected lines than this share of all lines, and the file is refused. */
  rejectedShare: 0.2,
  /** Rejected lines that are named one by one. */
  rejectsNamed: 100,
  /** Categories of one column, and of all columns; rarer ones count as unseen. */
  categories: 10_000,
  categoriesInAll: 200_000,
  /** Characters of a category; longer values count as unseen. */
  categoryLength: 200,
} as const;

export const COLUMN_TYPES = ['NUMBER', 'BOOLEAN', 'DATE', 'CATEGORY'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

export const COLUMN_ROLES = ['FEATURE', 'IDENTIFIER', 'TEXT', 'CONSTANT', 'EMPTY'] as const;
export type ColumnRole = (typeof COLUMN_ROLES)[number];

export const FORMATS = ['CSV', 'JSON_LINES', 'PARQUET'] as const;
export type Format = (typeof FORMATS)[number];

export interface ColumnSchema {
  readonly name: string;
  readonly type: ColumnType;
  readonly role: ColumnRole;
  /** For a number: whether every value is whole. */
  readonly whole: boolean;
  /** For a category: the values that at least five rows hold, in UTF-16 order. All others are coded as unseen. */
  readonly categories: readonly string[];
}

/**
 * What the API tells about a column's values: only values that at least five rows hold; edges, quantiles and extremes are
 * coarsened until no row can be recognised in them.
 */
export interface ColumnProfile {
  readonly name: string;
  /** Rows without a value, non-finite numbers included. */
  readonly missing: number;
  /** NaN and infinities; they count as missing. */
  readonly nonFinite: number;
  /** Exact. */
  readonly distinct: number;
  readonly mean: number | null;
  readonly standardDeviation: number | null;
  readonly quantiles: readonly { readonly share: number; readonly value: number }[];
  /** Bin i lies between edges[i - 1] and edges[i]; the first and the last are open. Every bin holds at least five rows. */
  readonly histogram: { readonly edges: readonly number[]; readonly counts: readonly number[] } | null;
  /** The most frequent values, most frequent first. */
  readonly frequent: readonly { readonly value: string; readonly count: number }[];
  /** Rows with a value that is not among `frequent`. */
  readonly otherCount: number;
}

export const REJECT_REASONS = [
  'TOO_FEW_FIELDS',
  'TOO_MANY_FIELDS',
  'BAD_QUOTES',
  'LINE_TOO_LONG',
  'NOT_JSON',
  'NOT_AN_OBJECT',
  'NON_FINITE_NUMBER',
  'UNREADABLE',
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** A line that could not be read. Never its content. */
export interface Reject {
  readonly line: number;
  readonly reason: RejectReason;
}

/**
 * Whether a text may be shown and matched. A NUL or half a surrogate pair cannot be stored, sent, or matched by an ONNX model:
 * such values count as unseen, like those that are too long.
 */
export function isPresentable(text: string): boolean {
  return text.length <= LIMITS.categoryLength && !/[\0\p{Cs}]/u.test(text);
}

/** What a reader makes of a file: columns as they were read, before anything is decided about roles. */
export type RawColumn =
  | {
      readonly name: string;
      readonly type: 'NUMBER' | 'BOOLEAN' | 'DATE';
      readonly values: Float64Array;
      readonly nonFinite: number;
    }
  | {
      readonly name: string;
      readonly type: 'CATEGORY';
      /** Codes into `dictionary`, which is in order of first sight; -1 is missing. */
      readonly codes: Int32Array;
      readonly dictionary: readonly string[];
    };

export interface RawTable {
  readonly rowCount: number;
  readonly columns: readonly RawColumn[];
  readonly rejectedCount: number;
  /** The first ones. */
  readonly rejects: readonly Reject[];
}
