/**
 * Micro-batching: requests for the same model that arrive within one turn of the event loop are answered by one run. A run costs
 * about as much for one row as for thirty.
 */
import { type FeedColumn, type Feeds } from './encode.js';
import { infer, type Inference, type LoadedModel } from './session.js';

interface Waiting {
  readonly feeds: Feeds;
  readonly resolve: (answer: Inference) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests of more rows gain nothing from company. */
const ALONE_ROWS = 256;

export class Batcher {
  private readonly waiting = new Map<LoadedModel, Waiting[]>();

  /** Like infer(), together with whoever else asks `model` in this turn. The caller keeps its lease until the answer is there. */
  infer(model: LoadedModel, feeds: Feeds): Promise<Inference> {
    if (feeds.rowCount === 0 || feeds.rowCount > ALONE_ROWS) return infer(model, feeds);
    return new Promise((resolve, reject) => {
      const queue = this.waiting.get(model);
      if (queue !== undefined) {
        queue.push({ feeds, resolve, reject });
        return;
      }
      this.waiting.set(model, [{ feeds, resolve, reject }]);
      setImmediate(() => void this.flush(model));
    });
  }

  private async flush(model: LoadedModel): Promise<void> {
    const queue = this.waiting.get(model)!;
    this.waiting.delete(model);
    try {
      const answer = await infer(model, joinFeeds(queue.map(({ feeds }) => feeds)));
      let from = 0;
      for (const { feeds, resolve } of queue) {
        resolve(queue.length === 1 ? answer : slice(answer, from, from + feeds.rowCount));
        from += feeds.rowCount;
      }
    } catch (error) {
      for (const { reject } of queue) reject(error);
    }
  }
}

function joinFeeds(parts: readonly Feeds[]): Feeds {
  if (parts.length === 1) return parts[0]!;
  const rowCount = parts.reduce((sum, part) => sum + part.rowCount, 0);
  const columns = parts[0]!.columns.map((first, at) =>
    joinColumns(
      first,
      parts.map((part) => part.columns[at]!),
      rowCount,
    ),
  );
  return { rowCount, columns };
}

function joinColumns(first: FeedColumn, parts: readonly FeedColumn[], rowCount: number): FeedColumn {
  if (Array.isArray(first)) return (parts as readonly string[][]).flat();
  return first instanceof Float32Array
    ? fillFrom(new Float32Array(rowCount), parts as readonly Float32Array[])
    : fillFrom(new BigInt64Array(rowCount), parts as readonly BigInt64Array[]);
}

function fillFrom<P extends ArrayLike<unknown>, A extends { set(part: P, to: number): void }>(
  out: A,
  parts: readonly P[],
): A {
  let to = 0;
  for (const part of parts) {
    out.set(part, to);
    to += part.length;
  }
  return out;
}

function slice({ labels, scores, classes, values }: Inference, from: number, to: number): Inference {
  const width = classes?.length ?? 1;
  return {
    labels: labels?.slice(from, to) ?? null,
    scores: scores?.slice(from * width, to * width) ?? null,
    classes,
    values: values?.slice(from, to) ?? null,
  };
}
