/**
 * A table as columns of typed arrays: what the learning core takes in. No object per row or cell.
 * Every column has `rowCount` entries.
 */
export interface Table {
  readonly rowCount: number;
  readonly columns: readonly Column[];
}

export type Column = NumberColumn | BooleanColumn | DateColumn | CategoryColumn;

/** A real number; NaN is missing. Float64 because ingest is exact; features become float32 (see features/). */
export interface NumberColumn {
  readonly name: string;
  readonly kind: 'number';
  readonly values: Float64Array;
}

/** 0, 1 or NaN (missing). */
export interface BooleanColumn {
  readonly name: string;
  readonly kind: 'boolean';
  readonly values: Float64Array;
}

/** Epoch milliseconds, UTC, whole numbers; NaN is missing. */
export interface DateColumn {
  readonly name: string;
  readonly kind: 'date';
  readonly values: Float64Array;
}

/** Codes into `categories`; -1 is missing. */
export interface CategoryColumn {
  readonly name: string;
  readonly kind: 'category';
  readonly codes: Int32Array;
  readonly categories: readonly string[];
}
