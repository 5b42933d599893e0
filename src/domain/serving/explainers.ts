import { Explainer, type Explanation, type Feeds, Unexplainable } from '../../ml/infer.js';
import { AppError } from '../../platform/errors.js';
import type { ModelService } from '../models/model.service.js';

/** A packed model is opened in one go, while others wait. */
const MOST_BYTES = 32 * 2 ** 20;
/** Explanations are computed one after the other; whoever comes after so many is told to come back. */
const MOST_WAITING = 100;

interface Kept {
  readonly loading: Promise<Explainer>;
  sizeBytes: number;
}

/** What explains the models that are served, kept in memory within a budget: the one unused for longest goes first. */
export class Explainers {
  /** By model version. A Map keeps the order of insertion. */
  private readonly kept = new Map<string, Kept>();
  private bytes = 0;
  private waiting = 0;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly models: ModelService,
    private readonly budgetBytes: number,
  ) {}

  /** Throws EXPLANATION_UNAVAILABLE, UNAVAILABLE, NOT_FOUND; the signal's reason. */
  async explain(
    { tenantId, modelVersionId }: { readonly tenantId: string; readonly modelVersionId: string },
    feeds: Feeds,
    signal: AbortSignal,
  ): Promise<Explanation> {
    if (this.waiting >= MOST_WAITING)
      throw new AppError('UNAVAILABLE', 'Too many explanations are being computed.', { retryAfterMs: 1000 });
    this.waiting++;
    // One at a time, so that all of them together hold up other requests no longer than one does.
    const own = this.last.then(async () => (await this.find(tenantId, modelVersionId)).explain(feeds, signal));
    this.last = own.catch(() => undefined);
    try {
      return await own;
    } catch (error) {
      throw error instanceof Unexplainable ? unavailable(error.message) : error;
    } finally {
      this.waiting--;
    }
  }

  private async find(tenantId: string, modelVersionId: string): Promise<Explainer> {
    const found = this.kept.get(modelVersionId);
    if (found) {
      this.kept.delete(modelVersionId);
      this.kept.set(modelVersionId, found);
      return found.loading;
    }
    const entry: Kept = { loading: this.load(tenantId, modelVersionId), sizeBytes: 0 };
    this.kept.set(modelVersionId, entry);
    try {
      const explainer = await entry.loading;
      entry.sizeBytes = explainer.sizeBytes;
      this.bytes += explainer.sizeBytes;
      this.shrink(modelVersionId);
      return explainer;
    } catch (error) {
      // That a model cannot be explained stays true; anything else may pass.
      if (!(error instanceof Unexplainable)) this.kept.delete(modelVersionId);
      throw error;
    }
  }

  private async load(tenantId: string, modelVersionId: string): Promise<Explainer> {
    const fitted = await this.models.readFitted({ tenantId }, modelVersionId, MOST_BYTES);
    if (fitted === null) throw new Unexplainable('The model is too large, or too old, to be explained.');
    return new Explainer(fitted);
  }

  private shrink(latest: string): void {
    for (const [id, { sizeBytes }] of this.kept) {
      if (this.bytes <= this.budgetBytes && this.kept.size <= MOST_KEPT) return;
      if (id === latest) continue;
      this.kept.delete(id);
      this.bytes -= sizeBytes;
    }
  }
}

/** Models that cannot be explained take no memory to speak of, but are remembered too. */
const MOST_KEPT = 10_000;

function unavailable(message: string): AppError {
  return new AppError('EXPLANATION_UNAVAILABLE', message);
}
