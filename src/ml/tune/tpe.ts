/**
 * Tree-structured Parzen estimator (Bergstra, Bardenet, Bengio & Kégl, "Algorithms for hyper-parameter optimization", 2011): with
 * l the density of the settings of the best trials and g that of the others, of some draws from l the one of largest l / g is tried.
 * The algorithm is the first level of the tree, a choice of its own; below it each algorithm has its dimensions.
 */
import { type FigureName } from '../core/metric.js';
import { type Rng } from '../core/rng.js';
import { type Algorithm, type AlgorithmName, isCombination } from '../spec.js';
import { Parzen } from './parzen.js';
import { type Proposer, type Proposal, randomProposal, rngOf, WIDTH } from './propose.js';
import { byLoss, roundRungs, worstQuarter } from './prune.js';
import { maskedPoint, parametersAt, type Point, pointOf, type Spaces } from './space.js';
import { type Trial } from './study.js';

/** Trials drawn at random before densities mean anything, and more of them the more algorithms there are. */
const START = 10;
const START_PER_ALGORITHM = 3;
/** Draws of which the best is tried. */
const DRAWS = 32;
/** Trials that count as good: this share, at most so many. */
const GOOD_SHARE = 0.15;
const MOST_GOOD = 25;

export function tpeSearch(spaces: Spaces, metric: FigureName, seed: number): Proposer {
  const start = Math.max(START, START_PER_ALGORITHM * spaces.size);
  return (earlier) => {
    const models = earlier.length < start ? null : densitiesOf(spaces, byLoss(earlier, metric));
    return Array.from({ length: WIDTH }, (_, i): Proposal => {
      const number = earlier.length + i;
      const rng = rngOf(seed, number);
      const drawn = models === null ? randomProposal(spaces, number, rng) : propose(spaces, models, earlier, rng);
      return { ...drawn, members: null, rungs: roundRungs(drawn), cutoffs: worstQuarter(drawn, earlier) };
    });
  };
}

/** l and g below one algorithm, and how likely either takes the algorithm itself. */
interface Densities {
  readonly good: Parzen;
  readonly bad: Parzen;
  readonly goodShare: number;
  readonly badShare: number;
}
type Models = ReadonlyMap<Algorithm, Densities>;

/** @param ranked best first */
export function densitiesOf(spaces: Spaces, ranked: readonly Trial[]): Models {
  const known = ranked.filter(({ algorithm }) => !isCombination(algorithm) && spaces.has(algorithm));
  const goodCount = Math.min(MOST_GOOD, Math.ceil(GOOD_SHARE * known.length));
  const [good, bad] = [known.slice(0, goodCount), known.slice(goodCount)];
  const share = (trials: readonly Trial[], algorithm: Algorithm): number =>
    (trials.filter((trial) => trial.algorithm === algorithm).length + 1) / (trials.length + spaces.size);
  return new Map(
    [...spaces].map(([algorithm, space]) => {
      const pointsOf = (trials: readonly Trial[]): Point[] =>
        trials.filter((trial) => trial.algorithm === algorithm).map(({ parameters }) => pointOf(space, parameters));
      return [
        algorithm,
        {
          good: new Parzen(space.dimensions, pointsOf(good)),
          bad: new Parzen(space.dimensions, pointsOf(bad)),
          goodShare: share(good, algorithm),
          badShare: share(bad, algorithm),
        },
      ];
    }),
  );
}

/** Of several draws from l the one of largest l / g that was not tried before. */
export function propose(
  spaces: Spaces,
  models: Models,
  earlier: readonly Trial[],
  rng: Rng,
): Pick<Proposal, 'algorithm' | 'parameters'> {
  const tried = new Set(earlier.map(({ algorithm, parameters }) => keyOf(algorithm, parameters)));
  let best: Pick<Proposal, 'algorithm' | 'parameters'> | null = null;
  let bestScore = -Infinity;
  for (let i = 0; i < DRAWS; i++) {
    const algorithm = drawAlgorithm(models, rng);
    const { good, bad, goodShare, badShare } = models.get(algorithm)!;
    const space = spaces.get(algorithm)!;
    const point = maskedPoint(space, good.draw(rng));
    const parameters = parametersAt(space, point);
    const isNew = !tried.has(keyOf(algorithm, parameters));
    const ratio = good.logDensity(point) - bad.logDensity(point) + Math.log(goodShare / badShare);
    const score = isNew ? ratio : ratio - REPEATED;
    if (score > bestScore) {
      bestScore = score;
      best = { algorithm, parameters };
    }
  }
  return best!;
}

/** Below all that was not tried. */
const REPEATED = 1e6;

function drawAlgorithm(models: Models, rng: Rng): Algorithm {
  let rest = rng.float() * [...models.values()].reduce((sum, { goodShare }) => sum + goodShare, 0);
  for (const [algorithm, { goodShare }] of models) {
    rest -= goodShare;
    if (rest < 0) return algorithm;
  }
  return [...models.keys()].at(-1)!;
}

function keyOf(algorithm: AlgorithmName, parameters: Trial['parameters']): string {
  return JSON.stringify([algorithm, Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
