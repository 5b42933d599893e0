import { AppError } from '../../platform/errors.js';
import type { Scope } from '../../platform/scope.js';
import { newPredictionId, predictionIdOf } from '../metering/ledger.service.js';
import type { Door } from './decide.js';
import type { Policy } from './policy.js';
import { ColumnRows, type Rows } from './rows.js';

export interface PredictRequest {
  readonly endpointId: string;
  readonly purpose?: string | null;
  readonly agreementId?: string | null;
  /** The only version that may answer; NOT_FOUND if the endpoint routes to another. */
  readonly modelVersionId?: string | null;
  /** A UUID: the same request again gets the same answer, and is charged once. */
  readonly idempotencyKey?: string | null;
  /** Whether the answers are to be explained, as far as the agreement allows. */
  readonly explain?: boolean | null;
  /** Where the caller says that it is; recorded as declared. */
  readonly declaredRegion?: string | null;
  /** Through which door it came; recorded. */
  readonly door?: Door;
}

/** The rows: lists of equal length by the name of the column, or in the form of another door. */
export type Asked =
  | { readonly columns: Readonly<Record<string, readonly unknown[]>>; readonly rows?: undefined }
  | { readonly rows: Rows };

export const REGION = /^[a-z0-9][a-z0-9-]{0,39}$/;

/**
 * A request for a prediction on its way. One object with all its fields from the start, here as in everything else that is made for
 * each prediction: V8 gives a copy by spread (`{ ...a, b }`) a hidden class of its own, and whatever reads such copies is slow. The
 * whole path cost three times as much with them.
 */
export class Attempt {
  readonly startedAt = performance.now();
  readonly predictionId: Buffer;
  readonly isRepeatable: boolean;
  readonly endpointId: string;
  readonly agreementId: string | null;
  readonly modelVersionId: string | null;
  readonly purpose: string | null;
  readonly explain: boolean;
  readonly door: Door;
  readonly declaredRegion: string | null;
  readonly rows: Rows;
  /** What was decided on; null: there is no such endpoint. */
  policy: Policy | null = null;
  /** Says that it is over, if its agreement limits how many are under way. */
  end: (() => void) | null = null;

  /** Throws INVALID_INPUT for a key that is no UUID, or a region that is none. */
  constructor(
    readonly scope: Scope,
    request: PredictRequest & Asked,
  ) {
    const key = request.idempotencyKey ?? null;
    this.isRepeatable = key !== null;
    this.predictionId = key === null ? newPredictionId() : predictionIdOf(scope.tenantId, key);
    this.endpointId = request.endpointId;
    this.agreementId = request.agreementId ?? null;
    this.modelVersionId = request.modelVersionId ?? null;
    this.purpose = request.purpose ?? null;
    this.explain = request.explain === true;
    this.door = request.door ?? 'GRAPHQL';
    this.declaredRegion = request.declaredRegion ?? null;
    if (this.declaredRegion !== null && !REGION.test(this.declaredRegion))
      throw new AppError('INVALID_INPUT', 'A region is named by small letters, digits and hyphens, 40 at most.', {
        field: 'input.declaredRegion',
      });
    this.rows = request.rows ?? new ColumnRows(request.columns);
  }
}
