/**
 * AUTO: first a portfolio of strong settings of every family, then a search around the families that do best, then combinations of
 * the best models; of what is as good within the noise, the simplest.
 */
import { type FigureName } from '../core/metric.js';
import { type Algorithm, type AlgorithmName, type AnyParameters, isCombination, type Member } from '../spec.js';
import { momentsOf, rowLosses } from './figure.js';
import { type Panel, type PanelShape } from './panel.js';
import { PORTFOLIO } from './portfolio.js';
import { type Proposal, type Proposer, rngOf, WIDTH } from './propose.js';
import { byLoss, roundRungs, worstQuarter } from './prune.js';
import { selectEnsemble } from './ensemble.js';
import { type Spaces } from './space.js';
import { type StudyLimits, type Trial } from './study.js';
import { densitiesOf, propose } from './tpe.js';

/** Shares of the time: at the first the search ends, at the second the combinations; the rest is for training what was chosen. */
export interface Shares {
  readonly search: number;
  readonly combine: number;
}
export const SHARES: Shares = { search: 0.72, combine: 0.82 };

/** The same where training, and so combining, is known to take only `reserve` of the time: nearly all of it for the search. */
export function sharesFor(reserve: number): Shares {
  const search = Math.max(SHARES.search, 0.94 - 2 * reserve);
  return { search, combine: Math.max(SHARES.combine, 0.97 - reserve) };
}
/** Rows up to which a table is judged by folds, and up to which the folds are dealt twice. */
const FOLDED_ROWS = 12_000;
const REPEATED_ROWS = 400;
const FOLDS = 5;
/** Training cells (rows x columns) of one fit for each second of the study: a dozen fits or more are to fit in. */
const CELLS_PER_SECOND = 40_000;
const LEAST_CELLS = 400_000;

/** How trials are judged where the request leaves it open. */
export function autoShape(rows: number, columns: number, limits: StudyLimits, isExchangeable: boolean): PanelShape {
  const cells = limits.seconds === null ? Infinity : Math.max(LEAST_CELLS, CELLS_PER_SECOND * limits.seconds);
  const mostRows = Math.floor(cells / Math.max(1, columns));
  if (rows > FOLDED_ROWS || !isExchangeable) return { folds: null, repeats: 1, mostRows };
  return { folds: FOLDS, repeats: rows <= REPEATED_ROWS ? 2 : 1, mostRows };
}

/** The portfolio, then generations that look around what is best in all, in the best family and in the second best. */
export function autoSearch(spaces: Spaces, metric: FigureName, seed: number): Proposer {
  const portfolio = PORTFOLIO.filter(({ algorithm }) => spaces.has(algorithm));
  return (earlier) => {
    if (earlier.length < portfolio.length)
      return portfolio.slice(earlier.length, earlier.length + WIDTH).map((setting) => proposal(setting, earlier));
    const ranked = byLoss(earlier, metric);
    const families = familiesOf(ranked).filter((family) => spaces.has(family));
    const around = [spaces, only(spaces, families[0]), spaces, only(spaces, families[1] ?? families[0])];
    return around.map((space, i) => {
      const rng = rngOf(seed, earlier.length + i);
      return proposal(propose(space, densitiesOf(space, ranked), earlier, rng), earlier);
    });
  };
}

function proposal(setting: Pick<Proposal, 'algorithm' | 'parameters'>, earlier: readonly Trial[]): Proposal {
  return { ...setting, members: null, rungs: roundRungs(setting), cutoffs: worstQuarter(setting, earlier) };
}

/** Families with a complete trial, by their best one. */
function familiesOf(ranked: readonly Trial[]): Algorithm[] {
  const complete = ranked.filter(({ state }) => state === 'COMPLETE').map(({ algorithm }) => algorithm);
  return [...new Set(complete)].filter((name): name is Algorithm => !isCombination(name));
}

function only(spaces: Spaces, algorithm: Algorithm | undefined): Spaces {
  return algorithm === undefined ? spaces : new Map([[algorithm, spaces.get(algorithm)!]]);
}

/** A complete trial, and what it answered for the judged rows. */
export interface Scored {
  readonly trial: Trial;
  readonly scores: Float32Array;
}

/** Members of a vote at most, and the best trials they are chosen from. */
export const MEMBERS = 5;
const CHOSEN_FROM = 25;
const PICKED_ROWS = 20_000;

/** A vote of the models that answer best together; null where the best is best alone. */
export function bestVote(panel: Panel, scored: readonly Scored[]): (Proposal & { scores: Float64Array }) | null {
  const best = scored.slice(0, CHOSEN_FROM);
  const width = panel.plan.target.classes?.length ?? 1;
  const step = Math.max(1, Math.ceil(panel.actual.length / PICKED_ROWS));
  const isPicked = (_: number, i: number): boolean => Math.floor(i / width) % step === 0;
  const thinned = step === 1 ? best.map(({ scores }) => scores) : best.map(({ scores }) => scores.filter(isPicked));
  const actual = panel.actual.filter((_, row) => row % step === 0);
  const metric = panel.plan.target.task === 'regression' ? 'RMSE' : 'LOG_LOSS';
  const lossOf = (scores: Float64Array): number => {
    const losses = rowLosses(metric, panel.plan.target, scores, actual)!;
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  };
  const picks = selectEnsemble(thinned, lossOf, MEMBERS);
  const chosen = best.map((one, m) => ({ ...one, weight: picks[m]! })).filter(({ weight }) => weight > 0);
  if (chosen.length < 2) return null;
  const total = chosen.reduce((sum, { weight }) => sum + weight, 0);
  const scores = new Float64Array(best[0]!.scores.length);
  for (const { weight, scores: added } of chosen)
    for (let i = 0; i < scores.length; i++) scores[i]! += (weight * added[i]!) / total;
  const members = chosen.map(({ trial, weight }) => ({ ...memberOf(trial), weight }));
  return { algorithm: 'VOTING', parameters: { weighting: 'GIVEN' }, members, rungs: [], cutoffs: [], scores };
}

/** The best single model, once for each fold; and the members of the vote, under a learner that weighs them. */
export function nestedCombinations(scored: readonly Scored[], vote: Proposal | null): Proposal[] {
  const plain = { rungs: [], cutoffs: [] };
  const single = scored.find(({ trial }) => trial.rounds !== null);
  const bagged: Proposal[] =
    single === undefined
      ? []
      : [{ ...plain, algorithm: 'BAGGING', parameters: { folds: 5 }, members: [settingOf(single.trial)] }];
  const stacked: Proposal[] =
    vote === null
      ? []
      : [
          {
            ...plain,
            algorithm: 'STACKING',
            parameters: { folds: 5 },
            members: vote.members!.map(({ algorithm, parameters }) => ({ algorithm, parameters })),
          },
        ];
  return [...bagged, ...stacked];
}

function settingOf({ algorithm, parameters }: Trial): Member {
  return { algorithm: algorithm as Algorithm, parameters };
}

/** With the rounds that were best, instead of stopping by validation rows. */
export function memberOf(trial: Trial): Member {
  return { algorithm: trial.algorithm as Algorithm, parameters: fixedRounds(trial) };
}

export function fixedRounds({ parameters, rounds }: Trial): AnyParameters {
  return rounds === null ? parameters : { ...parameters, nEstimators: rounds, earlyStoppingRounds: 0 };
}

/** Of a difference to the best, in its own standard errors, up to which a simpler model is taken. */
const NOISE = 0.1;
const SIMPLICITY: Readonly<Record<AlgorithmName, number>> = {
  LINEAR: 0,
  DECISION_TREE: 0,
  RANDOM_FOREST: 1,
  EXTRA_TREES: 1,
  GRADIENT_BOOSTING: 1,
  XGBOOST: 1,
  LIGHTGBM: 1,
  BAGGING: 2,
  VOTING: 3,
  STACKING: 3,
};

/**
 * The best; or, where the rows that judge can hardly tell them apart, the best of the simplest.
 * @param scored best first, at least one
 */
export function choose({ metric, plan, actual, repeats }: Panel, scored: readonly Scored[]): Trial {
  const best = scored[0]!;
  const losses = ({ scores }: Scored) => rowLosses(metric, plan.target, Float64Array.from(scores), actual);
  const least = losses(best);
  if (least === null) return best.trial;
  const alike = scored.filter((other) => {
    if (SIMPLICITY[other.trial.algorithm] >= SIMPLICITY[best.trial.algorithm]) return other === best;
    const differences = losses(other)!.map((loss, i) => loss - least[i]!);
    const { mean, error } = momentsOf(differences, repeats);
    return mean <= NOISE * error;
  });
  const simplest = Math.min(...alike.map(({ trial }) => SIMPLICITY[trial.algorithm]));
  return alike.find(({ trial }) => SIMPLICITY[trial.algorithm] === simplest)!.trial;
}
