/** One trial: fits on the parts of a panel, and the figure of what they answer for the rows they have not seen. */
import { type OnRound } from '../core/learned.js';
import { type FittedModel } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { predictTable } from '../core/predict.js';
import { type ThresholdRule } from '../core/threshold.js';
import { fitModel, type FitSpec, roundsOf, stopsEarly } from '../fit.js';
import { exportOnnx } from '../onnx/export.js';
import { parseParameters } from '../spec.js';
import { asLoss, judgeScores } from './figure.js';
import { measureLatency } from './latency.js';
import { type Panel, shareOf } from './panel.js';
import { type Trial, type TrialState } from './study.js';

/** A trial goes on past this share of its resource only with a loss of at most `loss`. */
export interface Cutoff {
  readonly resource: number;
  readonly loss: number;
}

/** All that a thread is told of a trial. */
export interface Task {
  readonly fit: FitSpec;
  /** In rising order of resource, below 1. Where rounds stop early, shares of the rounds; else of the rows, each fitted anew. */
  readonly rungs: readonly number[];
  readonly cutoffs: readonly Cutoff[];
  readonly latencyMicros: number | null;
}

export interface Outcome extends Pick<
  Trial,
  'value' | 'low' | 'high' | 'rung' | 'resource' | 'curve' | 'rounds' | 'latencyMicros'
> {
  readonly state: Exclude<TrialState, 'FAILED'>;
  /** Of the judged rows, outputs side by side; null unless complete. */
  readonly scores: Float64Array | null;
}

export interface JudgeTools {
  readonly pace: Pace;
  /** Milliseconds. */
  now(): number;
}

/** Threads of one fit: trials run beside each other, each on one. */
const THREADS = 1;

/** @throws SpecError, or the reason of the pace's signal */
export async function judge(panel: Panel, task: Task, tools: JudgeTools): Promise<Outcome> {
  const climb = new Climb(task);
  try {
    const { fits, rounds } = stopsEarly(task.fit)
      ? await fitStopping(panel, task.fit, climb, tools)
      : await fitRungs(panel, task, climb, tools);
    return await verdict(panel, task, { fits, rounds }, climb, tools);
  } catch (error) {
    if (!(error instanceof Pruned)) throw error;
    return { ...NOTHING, state: 'PRUNED', rung: climb.curve.length - 1, resource: climb.reached, curve: climb.curve };
  }
}

const NOTHING = { value: null, low: null, high: null, rounds: null, latencyMicros: null, scores: null };

class Pruned extends Error {}

/** The rungs that a trial has climbed, and where it has to stop. */
class Climb {
  readonly curve: { resource: number; loss: number }[] = [];

  constructor(private readonly task: Task) {}

  get reached(): number {
    return this.curve.at(-1)?.resource ?? 0;
  }

  /** Records the loss at the next rung. Throws Pruned where it is above the cutoff there. */
  climb(loss: number): void {
    const resource = this.task.rungs[this.curve.length]!;
    this.curve.push({ resource, loss });
    const cutoff = this.task.cutoffs.find((cut) => cut.resource === resource);
    if (cutoff !== undefined && !(loss <= cutoff.loss)) throw new Pruned();
  }

  /** The next rung, as a share; infinite above the last. */
  get next(): number {
    return this.task.rungs[this.curve.length] ?? Infinity;
  }
}

interface Fits {
  /** One model for each part. */
  readonly fits: readonly FittedModel[];
  readonly rounds: number | null;
}

/**
 * One part: rounds are stopped by the rows that judge; that so much is chosen by them is nothing among many rows. Folds are small,
 * and each stopped by its own rows would flatter boosting against families without rounds: so the first fold only tells how many
 * rounds are about right, and one number of rounds is chosen for all folds together.
 */
async function fitStopping(panel: Panel, spec: FitSpec, climb: Climb, tools: JudgeTools): Promise<Fits> {
  const most = roundsOf(spec);
  const curves: number[][] = [];
  let best = Infinity;
  const sign = HIGHER_IS_BETTER.has(spec.parameters['stoppingMetric'] as string) ? -1 : 1;
  const firstCurve = watch(curves, sign, (round, loss) => {
    best = Math.min(best, loss);
    while (round >= climb.next * most) climb.climb(best);
  });
  const first = await fitPart(panel, spec, 0, 1, firstCurve, tools);
  if (panel.parts.length === 1) return { fits: [first.fitted], rounds: first.learned.bestRound };
  const enough = Math.min(most, Math.ceil(1.5 * first.learned.bestRound) + 10);
  const rest = { ...spec, parameters: { ...spec.parameters, nEstimators: enough, earlyStoppingRounds: 0 } };
  const fits = [first.fitted];
  for (let part = 1; part < panel.parts.length; part++)
    fits.push((await fitPart(panel, rest, part, 1, watch(curves, sign), tools)).fitted);
  const rounds = bestRoundOf(curves);
  return { fits: fits.map((fitted) => cutRounds(fitted, rounds)), rounds };
}

/** Values of `stoppingMetric` that are no losses. */
const HIGHER_IS_BETTER: ReadonlySet<string> = new Set(['AUC', 'ACCURACY', 'F1']);

/** Notes the validation loss of each round. */
function watch(curves: number[][], sign: 1 | -1, also?: (round: number, loss: number) => void): OnRound {
  const curve: number[] = [];
  curves.push(curve);
  return (round, { validation }) => {
    curve.push(sign * validation);
    also?.(round, sign * validation);
  };
}

/** The round (from 1) of least mean loss over all curves, as far as all of them go. */
function bestRoundOf(curves: readonly (readonly number[])[]): number {
  const length = Math.min(...curves.map((curve) => curve.length));
  let best = 0;
  let least = Infinity;
  for (let r = 0; r < length; r++) {
    const sum = curves.reduce((total, curve) => total + curve[r]!, 0);
    if (sum < least) {
      least = sum;
      best = r;
    }
  }
  return best + 1;
}

/** A boosted model as it was after so many rounds, or all it has. */
function cutRounds(fitted: FittedModel, rounds: number): FittedModel {
  const { model } = fitted;
  if (model.family !== 'trees' || model.treeOutput === null) return fitted;
  const count = Math.min(model.trees.length, rounds * model.base.length);
  return {
    ...fitted,
    model: { ...model, trees: model.trees.slice(0, count), treeOutput: model.treeOutput.slice(0, count) },
  };
}

/** Without rounds to stop at, a rung is a fit on a share of the rows. */
async function fitRungs(panel: Panel, task: Task, climb: Climb, tools: JudgeTools): Promise<Fits> {
  for (const share of task.rungs) {
    const fits = await fitParts(panel, task.fit, share, tools);
    climb.climb((await figure(panel, task.fit, scoresOf(panel, fits), tools)).loss);
  }
  return { fits: await fitParts(panel, task.fit, 1, tools), rounds: null };
}

async function fitParts(panel: Panel, spec: FitSpec, share: number, tools: JudgeTools): Promise<FittedModel[]> {
  const fits: FittedModel[] = [];
  for (let part = 0; part < panel.parts.length; part++)
    fits.push((await fitPart(panel, spec, part, share, () => {}, tools)).fitted);
  return fits;
}

function fitPart(panel: Panel, spec: FitSpec, part: number, share: number, onRound: OnRound, { pace }: JudgeTools) {
  const { table, plan, parts } = panel;
  const { train, judged } = parts[part]!;
  return fitModel(uncalibrated(spec), {
    table,
    columns: plan.columns,
    target: plan.target,
    trainRows: shareOf(plan, train, share, spec.seed),
    validationRows: judged,
    weights: plan.weights,
    seed: spec.seed,
    pace,
    onRound,
    threads: THREADS,
  });
}

/** Calibration is learned from the rows that judge here: it would flatter. */
function uncalibrated(spec: FitSpec): FitSpec {
  const hasRule = 'calibration' in parseParameters(spec.algorithm, spec.parameters);
  return hasRule ? { ...spec, parameters: { ...spec.parameters, calibration: 'NONE' } } : spec;
}

/** Scores of the judged rows, part by part. */
function scoresOf({ parts, table }: Panel, fits: readonly FittedModel[]): Float64Array {
  const answers = fits.map((fitted, part) => predictTable(fitted, table, parts[part]!.judged).scores);
  const all = new Float64Array(answers.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const scores of answers) {
    all.set(scores, at);
    at += scores.length;
  }
  return all;
}

async function figure(panel: Panel, spec: FitSpec, scores: Float64Array, { pace }: JudgeTools) {
  const { metric, plan, actual, repeats } = panel;
  const rule = (spec.parameters['decisionThreshold'] ?? 'F1') as ThresholdRule;
  const judged = await judgeScores(metric, plan.target, scores, actual, repeats, { rule, seed: spec.seed, pace });
  return { ...judged, loss: asLoss(metric, judged.value) };
}

async function verdict(
  panel: Panel,
  { fit, rungs, latencyMicros: limit }: Task,
  { fits, rounds }: Fits,
  climb: Climb,
  tools: JudgeTools,
): Promise<Outcome> {
  const scores = scoresOf(panel, fits);
  const { value, low, high } = await figure(panel, fit, scores, tools);
  const whole = { value, low, high, rounds, rung: rungs.length, resource: 1, curve: climb.curve };
  if (limit === null) return { ...whole, state: 'COMPLETE', latencyMicros: null, scores };
  const onnx = exportOnnx(fits[0]!, { name: 'trial', metadata: {} });
  const latencyMicros = await measureLatency(fits[0]!, onnx, panel.table, panel.parts[0]!.judged, () => tools.now());
  return { ...whole, state: latencyMicros > limit ? 'INFEASIBLE' : 'COMPLETE', latencyMicros, scores };
}
