/** Searches that learn nothing of where to look: random search, and successive halving of random starts. */
import { type Proposal, type Proposer, randomProposal, rngOf, WIDTH } from './propose.js';
import { allRungs, bestThird, roundRungs, worstQuarter } from './prune.js';
import { type Spaces } from './space.js';

/** Bergstra & Bengio, "Random search for hyper-parameter optimization", 2012. */
export function randomSearch(spaces: Spaces, seed: number): Proposer {
  return (earlier) =>
    Array.from({ length: WIDTH }, (_, i): Proposal => {
      const number = earlier.length + i;
      const drawn = randomProposal(spaces, number, rngOf(seed, number));
      return { ...drawn, members: null, rungs: roundRungs(drawn), cutoffs: worstQuarter(drawn, earlier) };
    });
}

/** Many random starts, of which the best third goes on at each rung (prune.ts). */
export function halvingSearch(spaces: Spaces, seed: number): Proposer {
  return (earlier) =>
    Array.from({ length: WIDTH }, (_, i): Proposal => {
      const number = earlier.length + i;
      const drawn = randomProposal(spaces, number, rngOf(seed, number));
      return { ...drawn, members: null, rungs: allRungs(drawn), cutoffs: bestThird(drawn, earlier) };
    });
}
