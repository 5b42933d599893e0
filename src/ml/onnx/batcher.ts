/**
 * Micro-batching: requests for the same model that arrive within one turn of the event loop are answered by one run. A run costs
 * about as much for one row as for thirty. Each request is written straight into the columns of that run: an array per column and
 * request would cost more than the inference.
 */
import { type FeedColumn, type Feeds, makeColumns } from './encode.js';
import { infer, type Inference, type LoadedModel } from './session.js';
import { type Signature } from './signature.js';

/** Rows that can be written where there is room for them. */
export interface RowSource {
  readonly rowCount: number;
  /** Writes into the rows of `feeds`. Throws InputError. */
  write(inputs: Signature['inputs'], feeds: Feeds): void;
}

/** What the model took of a request and what it answered. */
export interface Inferred {
  readonly feeds: Feeds;
  readonly inference: Inference;
}

interface Waiting {
  readonly from: number;
  readonly rowCount: number;
  readonly resolve: (inferred: Inferred) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests of more rows gain nothing from company. */
const ALONE_ROWS = 256;
const FIRST_ROWS = 32;

/** What one run will answer. */
class Batch {
  readonly waiting: Waiting[] = [];
  columns: FeedColumn[];
  rowCount = 0;
  private capacity = FIRST_ROWS;

  constructor(readonly inputs: Signature['inputs']) {
    this.columns = makeColumns(inputs, this.capacity);
  }

  /** Throws InputError, and nothing was added. */
  add(rows: RowSource): void {
    const { rowCount } = this;
    const needed = rowCount + rows.rowCount;
    if (needed > this.capacity) this.grow(needed);
    rows.write(this.inputs, { rowCount: rows.rowCount, from: rowCount, columns: this.columns });
    this.rowCount = needed;
  }

  private grow(needed: number): void {
    while (this.capacity < needed) this.capacity *= 2;
    const wider = makeColumns(this.inputs, this.capacity);
    this.columns.forEach((column, at) => {
      const into = wider[at]!;
      if (Array.isArray(column)) for (let i = 0; i < this.rowCount; i++) (into as string[])[i] = column[i]!;
      else if (column instanceof Float32Array) (into as Float32Array).set(column);
      else (into as BigInt64Array).set(column);
    });
    this.columns = wider;
  }
}

export class Batcher {
  private readonly batches = new Map<LoadedModel, Batch>();

  /**
   * Like infer(), together with whoever else asks `model` in this turn. The caller keeps its lease until the answer is there. Rejects
   * with InputError for rows that do not fit, which disturbs nobody else.
   */
  infer(model: LoadedModel, rows: RowSource): Promise<Inferred> {
    if (rows.rowCount === 0 || rows.rowCount > ALONE_ROWS) return inferAlone(model, rows);
    return new Promise((resolve, reject) => {
      let batch = this.batches.get(model);
      if (batch === undefined) {
        this.batches.set(model, (batch = new Batch(model.signature.inputs)));
        setImmediate(() => void this.flush(model));
      }
      const from = batch.rowCount;
      batch.add(rows);
      batch.waiting.push({ from, rowCount: rows.rowCount, resolve, reject });
    });
  }

  private async flush(model: LoadedModel): Promise<void> {
    const { waiting, rowCount, columns } = this.batches.get(model)!;
    this.batches.delete(model);
    if (waiting.length === 0) return;
    try {
      const answer = await infer(model, { rowCount, from: 0, columns });
      for (const { from, rowCount, resolve } of waiting)
        resolve({ feeds: { rowCount, from, columns }, inference: slice(answer, from, from + rowCount) });
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}

async function inferAlone(model: LoadedModel, rows: RowSource): Promise<Inferred> {
  const { inputs } = model.signature;
  const { rowCount } = rows;
  const feeds = { rowCount, from: 0, columns: makeColumns(inputs, rowCount) };
  rows.write(inputs, feeds);
  return { feeds, inference: await infer(model, feeds) };
}

function slice({ labels, scores, classes, values }: Inference, from: number, to: number): Inference {
  const width = classes?.length ?? 1;
  return {
    labels: labels && labels.slice(from, to),
    scores: scores && scores.subarray(from * width, to * width),
    classes,
    values: values && values.subarray(from, to),
  };
}
