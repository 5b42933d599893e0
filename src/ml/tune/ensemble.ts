/**
 * Which models answer best together: greedy forward selection with replacement (Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble
 * selection from libraries of models", 2004). Starting from the best, the model is added, again and again, whose scores bring the
 * mean of all picks nearest to the truth; how often one was picked is its weight.
 */

const PICKS = 30;
/** Gains below this share of the loss are within the luck of the rows that judge. */
const LEAST_GAIN = 2e-4;

/**
 * @param scores  of each model for the judged rows, best model first
 * @param lossOf  the mean loss of scores
 * @param members different models at most: each costs its time in every prediction
 * @returns how often each model was picked
 */
export function selectEnsemble(
  scores: readonly Float32Array[],
  lossOf: (scores: Float64Array) => number,
  members: number,
): number[] {
  const picks = new Array<number>(scores.length).fill(0);
  const sum = Float64Array.from(scores[0]!);
  picks[0] = 1;
  let best = lossOf(sum);
  const mean = new Float64Array(sum.length);
  for (let count = 2; count <= PICKS; count++) {
    let next = -1;
    let least = Infinity;
    const isFull = picks.filter((times) => times > 0).length >= members;
    for (let m = 0; m < scores.length; m++) {
      if (isFull && picks[m] === 0) continue;
      const added = scores[m]!;
      for (let i = 0; i < mean.length; i++) mean[i] = (sum[i]! + added[i]!) / count;
      const loss = lossOf(mean);
      if (loss < least) {
        least = loss;
        next = m;
      }
    }
    if (!(least < best - LEAST_GAIN * Math.abs(best))) break;
    best = least;
    picks[next]!++;
    for (let i = 0; i < sum.length; i++) sum[i]! += scores[next]![i]!;
  }
  return picks;
}
