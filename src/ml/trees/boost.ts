/**
 * Gradient boosting (Friedman, "Greedy function approximation", 2001) with second-order leaf values (Chen & Guestrin,
 * "XGBoost", 2016): every round adds to each raw score F_k one tree grown on the derivatives of the loss by F_k.
 */
import { type OnRound } from '../core/learned.js';
import { type Loss, type RowWeights } from '../core/loss.js';
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { Rng } from '../core/rng.js';
import { type Watch } from '../core/stopping-metric.js';
import { type Parameters } from '../spec.js';
import { type BinnedFeature } from './bins.js';
import { derivativesOf } from './derive.js';
import { GradientGrower, type GrownTree, type GrowthRules } from './gradient-grower.js';
import { type Address, type KernelMemory } from './kernel-memory.js';
import { type KernelTable } from './kernel-table.js';
import { KernelScorer } from './kernel-scorer.js';
import { LeafRenewal } from './renew.js';
import { drawColumns } from './sample-columns.js';
import { RowSampler } from './sample-rows.js';
import { type FeatureMatrix } from './score.js';
import { type Earlier } from './warm-start.js';

/** Binned training rows in the memory of the kernels, raw validation rows, and their targets (value, or class number; -1: a class unknown in training). */
export interface BoostData {
  readonly memory: KernelMemory;
  readonly binned: KernelTable;
  /** What is known of features beforehand (constrain.ts). */
  readonly directions: GrowthRules['directions'];
  readonly groups: GrowthRules['groups'];
  readonly y: Float64Array;
  readonly yAt: Address;
  /** What each training row counts; null: 1. */
  readonly weights: RowWeights;
  readonly validation: FeatureMatrix;
  readonly validationY: Float64Array;
  readonly validationWeights: RowWeights;
  /** What to go on from; null: from constant scores. */
  readonly earlier: Earlier | null;
}

export interface Ensemble {
  /** Boosting: those gone on from, then round by round, in each one tree per output. */
  readonly trees: readonly Tree[];
  readonly treeOutput: Int32Array | null;
  readonly base: Float32Array;
  readonly rounds: number;
  readonly bestRound: number;
  /** Gain by feature. */
  readonly gains: Float64Array;
}

/** Rounds, learning from the training rows and stopping by the validation rows. Same data, parameters and seed: same trees. */
export async function boost(
  data: BoostData,
  loss: Loss,
  watch: Watch,
  parameters: Parameters<'GRADIENT_BOOSTING'>,
  seed: number,
  pace: Pace,
  onRound: OnRound,
): Promise<Ensemble> {
  const { memory, binned, validationY, earlier } = data;
  const { rowCount, features } = binned;
  const rng = new Rng(seed);
  const gains = new Float64Array(features.length);
  const grower = new GradientGrower(memory, binned, growthRules(parameters, data), gains, pace);
  const base = earlier?.model.base ?? loss.initial(data.y, data.weights);
  const derivatives = derivativesOf(loss, memory, data, base, grower.pairs, grower.notes);
  const size = { rowCount, numLeaves: grower.mostLeaves };
  const renewal = loss.renewal && new LeafRenewal(memory, loss.renewal, grower, derivatives, size);
  const scorer = new KernelScorer(memory, data.validation, grower.mostLeaves);
  const validationAt = Array.from(base, () => memory.allocate(8 * validationY.length));
  const validationRaw = validationAt.map((at, k) => memory.float64(at, validationY.length).fill(base[k]));
  earlier?.train.forEach((scores, k) => memory.float64(derivatives.raw[k], rowCount).set(scores));
  earlier?.validation.forEach((scores, k) => validationRaw[k].set(scores));
  const trees: Tree[] = [];
  const gainsByRound: Float64Array[] = [];
  let bestRound = 0;
  const judge = (value: number): number => (watch.isHigherBetter ? value : -value);
  // An earlier model may be the best there will be.
  let best =
    earlier && validationY.length > 0 ? judge(watch.of(validationRaw, validationY, data.validationWeights)) : -Infinity;
  let round = 0;
  const sampler = new RowSampler(parameters, rng, memory.float32(grower.pairs, 2 * rowCount));
  const allColumns = Uint32Array.from(features.keys());
  derivatives.refresh();
  while (round < parameters.nEstimators) {
    const sample = sampler.draw(round, loss.outputs, (k) => derivatives.write(k, rowCount));
    const columns = drawColumns(allColumns, parameters.colsample, rng);
    for (let k = 0; k < loss.outputs; k++) {
      const scale = sampler.raise(sample, derivatives.write(k, sample.drawn?.length ?? rowCount));
      const roundingSeed = rng.uint32();
      const raw = derivatives.raw[k];
      const scores = renewal?.scratch ?? raw;
      const grown = await grower.grow({ rows: sample.drawn, columns, scale, seed: roundingSeed, raw: scores });
      renewal?.renew(grown, parameters.learningRate);
      addRest(grown, features, sample.rest, memory.float64(raw, rowCount));
      scorer.add(grown.tree, validationAt[k]);
      trees.push(grown.tree);
    }
    round++;
    gainsByRound.push(gains.slice());
    const validation = watch.of(validationRaw, validationY, data.validationWeights);
    const train = derivatives.refresh();
    onRound(round, { name: watch.name, ...(watch.isLoss ? { train } : {}), validation });
    await pace.rest();
    if (judge(validation) > best) {
      best = judge(validation);
      bestRound = round;
    }
    if (parameters.earlyStoppingRounds > 0 && round - bestRound >= parameters.earlyStoppingRounds) break;
  }
  const kept = parameters.earlyStoppingRounds > 0 && (bestRound > 0 || earlier) ? bestRound : round;
  const before = earlier?.model.trees ?? [];
  const newOutputs = Array.from({ length: kept * loss.outputs }, (_, t) => t % loss.outputs);
  return {
    trees: [...before, ...trees.slice(0, kept * loss.outputs)],
    treeOutput: Int32Array.from([...(earlier?.model.treeOutput ?? []), ...newOutputs]),
    base,
    rounds: round,
    bestRound: kept,
    gains: gainsByRound[kept - 1] ?? new Float64Array(features.length),
  };
}

/** Scores of the rows that the tree did not learn from, by their bins: raw[row] += their leaf's value. */
function addRest(
  { tree, tables }: GrownTree,
  features: readonly BinnedFeature[],
  rows: Uint32Array,
  raw: Float64Array,
) {
  for (const row of rows) {
    let node = 0;
    for (let table = tables[0]; table !== undefined; table = tables[node])
      node = table[features[tree.feature[node]].bins[row]] === 1 ? tree.left[node] : tree.right[node];
    raw[row] += tree.value[node];
  }
}

function growthRules(p: Parameters<'GRADIENT_BOOSTING'>, { directions, groups }: BoostData): GrowthRules {
  return {
    growth: p.growth,
    numLeaves: p.numLeaves,
    maxDepth: p.maxDepth,
    minRows: p.minSamplesLeaf,
    minHessian: p.minChildWeight,
    minSplitGain: p.minSplitGain,
    l1: p.regAlpha,
    l2: p.regLambda,
    maxDeltaStep: p.maxDeltaStep,
    learningRate: p.learningRate,
    catSmooth: p.catSmooth,
    catL2: p.catL2,
    columnShares: { byLevel: p.colsampleByLevel, byNode: p.colsampleByNode },
    directions,
    groups,
  };
}
