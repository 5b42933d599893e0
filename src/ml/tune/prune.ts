/**
 * When a trial is given up: rungs at growing shares of its resource, and at each the loss above which it stops, taken from trials
 * of the same algorithm in earlier generations. For boosting the resource is its rounds, all in one fit; for the others it is
 * training rows, each rung a fit of its own.
 */
import { type FigureName } from '../core/metric.js';
import { asLoss } from './figure.js';
import { stopsEarly } from '../fit.js';
import { type Cutoff } from './judge.js';
import { type Proposal } from './propose.js';
import { type Trial } from './study.js';

/** Of three trials one goes on. */
export const ETA = 3;

type Setting = Pick<Proposal, 'algorithm' | 'parameters'>;

/** Shares of the rounds, where a fit has rounds to be stopped at: nothing is fitted twice. */
export function roundRungs(setting: Setting): readonly number[] {
  return stopsEarly(setting) ? [ETA ** -3, ETA ** -2, ETA ** -1] : [];
}

/** Shares of the rounds, else of the rows. */
export function allRungs(setting: Setting): readonly number[] {
  return stopsEarly(setting) ? roundRungs(setting) : [ETA ** -2, ETA ** -1];
}

/**
 * Successive halving without waiting (Li et al., "A system for massively parallel hyperparameter tuning", 2020, in its stopping
 * form): a trial goes on while it is among the best third of those that reached the rung.
 */
export function bestThird({ algorithm }: Setting, earlier: readonly Trial[]): readonly Cutoff[] {
  return cutoffs(algorithm, earlier, (count) => (count < ETA ? null : Math.floor((count + 1) / ETA) - 1));
}

/** Few trials recover from being among the worst quarter after a ninth of the rounds. */
const LEAST_KNOWN = 8;
export function worstQuarter({ algorithm }: Setting, earlier: readonly Trial[]): readonly Cutoff[] {
  const last = (count: number): number | null => (count < LEAST_KNOWN ? null : Math.ceil(0.75 * count) - 1);
  return cutoffs(algorithm, earlier, last).filter(({ resource }) => resource > ETA ** -3);
}

/** @param last place, from 0, of the last of `count` losses that goes on; null: all go on */
function cutoffs(
  algorithm: Trial['algorithm'],
  earlier: readonly Trial[],
  last: (count: number) => number | null,
): readonly Cutoff[] {
  const losses = new Map<number, number[]>();
  for (const trial of earlier) {
    if (trial.algorithm !== algorithm) continue;
    for (const { resource, loss } of trial.curve) losses.set(resource, [...(losses.get(resource) ?? []), loss]);
  }
  return [...losses].flatMap(([resource, known]) => {
    const at = last(known.length);
    return at === null ? [] : [{ resource, loss: known.toSorted((a, b) => a - b)[at]! }];
  });
}

/** Best first: complete ones by their figure, pruned ones by how far they came, then the failed and the infeasible. */
export function byLoss(trials: readonly Trial[], metric: FigureName): Trial[] {
  const place = ({ state, value }: Trial): number =>
    state === 'COMPLETE' && value !== null ? 0 : state === 'PRUNED' ? 1 : 2;
  const loss = ({ value, curve }: Trial): number =>
    value !== null ? asLoss(metric, value) : (curve.at(-1)?.loss ?? Infinity);
  return trials.toSorted(
    (a, b) =>
      place(a) - place(b) ||
      (place(a) === 1 ? b.resource - a.resource : 0) ||
      (loss(a) === loss(b) ? 0 : loss(a) - loss(b)) ||
      a.number - b.number,
  );
}
