/**
 * What is tried next. Trials come in generations of a fixed width; what a generation tries depends only on the study and the
 * trials of earlier generations, however many run at a time and in whatever order they end. So a study that was killed goes on
 * with the trial it would have tried.
 */
import { Rng } from '../core/rng.js';
import { type AlgorithmName, type AnyParameters, type Member } from '../spec.js';
import { type Cutoff } from './judge.js';
import { parametersAt, randomPoint, type Spaces } from './space.js';
import { type Trial } from './study.js';

/** Trials of a generation: enough to keep the cores of a usual machine busy, few enough to learn between them. */
export const WIDTH = 4;

export interface Proposal {
  readonly algorithm: AlgorithmName;
  readonly parameters: AnyParameters;
  readonly members: readonly Member[] | null;
  readonly rungs: readonly number[];
  readonly cutoffs: readonly Cutoff[];
}

/**
 * One generation, of at most WIDTH; none: there is nothing left to try.
 * @param earlier the trials of all earlier generations, by number
 */
export type Proposer = (earlier: readonly Trial[]) => readonly Proposal[];

/** The numbers of one trial, whatever was tried before. */
export function rngOf(seed: number, number: number): Rng {
  return new Rng(seed, TRIALS_STREAM + number);
}
const TRIALS_STREAM = 0x7e57_0000;

/** Algorithms in turn, parameters drawn from their whole space. */
export function randomProposal(spaces: Spaces, number: number, rng: Rng): Pick<Proposal, 'algorithm' | 'parameters'> {
  const algorithms = [...spaces.keys()];
  const algorithm = algorithms[number % algorithms.length]!;
  const space = spaces.get(algorithm)!;
  return { algorithm, parameters: parametersAt(space, randomPoint(space, rng)) };
}
