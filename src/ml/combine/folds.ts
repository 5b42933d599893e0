/** Folds: training rows dealt into k parts of the same size, every class in the same shares. */
import { type Rng } from '../core/rng.js';
import { type Target } from '../core/target.js';

/** Of a row that is in no fold, because nothing of its class would be left to learn from: it is always trained on. */
export const NO_FOLD = 255;

/** The fold, 0 to folds - 1, of each of `rows` (table rows, ascending), or NO_FOLD. */
export function dealFolds(target: Target, rows: Uint32Array, folds: number, rng: Rng): Uint8Array {
  const strata: number[][] = Array.from({ length: target.classes?.length ?? 1 }, () => []);
  rows.forEach((row, i) => strata[target.classes === null ? 0 : target.y[row]].push(i));
  const fold = new Uint8Array(rows.length).fill(NO_FOLD);
  let next = 0;
  for (const stratum of strata) {
    if (stratum.length < 2) continue;
    const order = Uint32Array.from(stratum);
    rng.shuffle(order);
    for (const i of order) fold[i] = next++ % folds;
  }
  return fold;
}
