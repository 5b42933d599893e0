import { escapedReceipt, leafHashOf, type Posted, type Receipt, receiptOf } from '../metering/ledger.service.js';
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
  /** Null: the tenant's own endpoint. */
  readonly agreementId: string | null;
  readonly modelVersionId: string;
  /** What the endpoint publishes. */
  readonly signature: PublishedSignature;
  readonly logIndex: number;
  /** It was answered, recorded and charged before, and is told once more. */
  readonly isRepetition: boolean;
  readonly at: Date;
  readonly latencyMs: number;
  /** Opens the digests of input and output in the audit entry. */
  readonly saltHex: string;

  constructor(
    { policy, rows, startedAt }: Attempt,
    told: Told,
    private readonly posted: Posted,
    salt: Buffer,
  ) {
    this.id = posted.entry.predictionId;
    this.saltHex = salt.toString('hex');
    this.labels = told.labels;
    this.scores = told.scores;
    this.values = told.values;
    this.agreementId = posted.context.document['agreementId'] as string | null;
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
    return leafHashOf(this.posted).toString('hex');
  }

  get receipt(): Receipt {
    return receiptOf(this.posted, this.saltHex);
  }

  /** The receipt as JSON within a text of JSON. */
  get escapedReceipt(): string {
    return escapedReceipt(this.posted, this.saltHex);
  }
}
