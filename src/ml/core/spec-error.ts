/** What can be wrong with a request to split or train, found by looking at it or at the data. */
export type SpecErrorCode =
  | 'BAD_PARAMETER'
  | 'UNKNOWN_PARAMETER'
  | 'UNKNOWN_COLUMN'
  | 'DUPLICATE_COLUMN'
  | 'WRONG_COLUMN_KIND'
  | 'TOO_MANY_GROUPS'
  | 'EMPTY_SPLIT'
  | 'TARGET_MISSING_ALL'
  | 'TARGET_CONSTANT'
  | 'TARGET_NON_FINITE'
  | 'TARGET_WRONG_KIND'
  | 'TARGET_OUT_OF_RANGE'
  | 'WEIGHT_OUT_OF_RANGE'
  | 'TASK_DOES_NOT_FIT'
  | 'SINGLE_CLASS_IN_TRAIN'
  | 'TOO_MANY_CLASSES'
  | 'UNKNOWN_CLASS'
  | 'NO_USABLE_FEATURES'
  | 'TOO_MANY_FEATURES'
  | 'DATA_TOO_LARGE'
  | 'WARM_START_MISMATCH'
  | 'DIVERGED'
  | 'MODEL_UNREADABLE'
  | 'MODEL_UNSUPPORTED'
  | 'MODEL_DOES_NOT_FIT';

/**
 * A request that cannot be carried out, told in a sentence for the person who asked. `field` is the part of the request to
 * change. Messages name columns and classes, never other cell values.
 */
export class SpecError extends Error {
  override readonly name = 'SpecError';

  constructor(
    readonly code: SpecErrorCode,
    readonly field: string,
    message: string,
  ) {
    super(message);
  }
}
