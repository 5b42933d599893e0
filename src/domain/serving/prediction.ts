import { leafHashOf, type Posted, type Receipt, receiptOf, receiptText } from '../metering/ledger.service.js';
import type { Attempt } from './attempt.js';
import type { PublishedSignature } from './endpoint.entity.js';
import type { Told, ToldExplanation } from './explanation.js';

/** An answer, recorded and charged before it exists for the caller. What costs something is made when it is asked for. */
export class Prediction implements Required<Told> {
  readonly id: string;
  readonly labels: Told['labels'];
  readonly scores: Told['scores'];
  readonly values: Told['values'];
  readonly explanation: ToldExplanation | null;
  readonly rowCount: number;
  readonly modelVersionId: string;
  /** What the endpoint publishes. */
  readonly signature: PublishedSignature;
  readonly logIndex: number;
  /** It was answered, recorded and charged before, and is told once more. */
  readonly isRepetition: boolean;
  readonly at: Date;
  readonly latencyMs: number;

  constructor(
    { policy, rows, startedAt }: Attempt,
    /** Null: the tenant's own endpoint. */
    readonly agreementId: string | null,
    told: Told,
    private readonly recorded: { readonly posted: Posted; readonly salt: Buffer },
  ) {
    const { posted } = recorded;
    this.id = posted.entry.predictionId;
    this.labels = told.labels;
    this.scores = told.scores;
    this.values = told.values;
    this.explanation = told.explanation ?? null;
    this.rowCount = rows.rowCount;
    this.modelVersionId = posted.context.document['modelVersionId'] as string;
    this.signature = policy!.endpoint.signature;
    this.logIndex = posted.entry.index;
    this.isRepetition = posted.isRepetition;
    this.at = posted.at;
    this.latencyMs = Math.round((performance.now() - startedAt) * 10) / 10;
  }

  /** Of the audit entry. */
  get leafHashHex(): string {
    return leafHashOf(this.recorded.posted).toString('hex');
  }

  /** Opens the digests of input and output in the audit entry. */
  get saltHex(): string {
    return this.recorded.salt.toString('hex');
  }

  get receipt(): Receipt {
    return receiptOf(this.recorded.posted, this.recorded.salt);
  }

  /** The receipt as JSON. */
  get receiptText(): string {
    return receiptText(this.recorded.posted, this.recorded.salt);
  }
}
