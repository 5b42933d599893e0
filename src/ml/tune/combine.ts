/** The last generation of AUTO, combinations of the best models, and its result. */
import { Pace } from '../core/pace.js';
import { type ThresholdRule } from '../core/threshold.js';
import { isCombination, type Member } from '../spec.js';
import { bestVote, choose, fixedRounds, MEMBERS, nestedCombinations } from './auto.js';
import { judgeScores } from './figure.js';
import { type Proposal } from './propose.js';
import { type Study } from './study-run.js';
import { type StudyResult, type Trial } from './study.js';

/** One of each kind. */
export const COMBINATIONS_MOST = 3;

/** Nothing where an earlier run of the study has come so far. */
export async function combineBest(study: Study, share: number): Promise<void> {
  await study.recall(share);
  const left = (study.spec.limits.trials ?? Infinity) - study.next;
  const scored = study.scored();
  if (scored.length === 0 || left <= 0 || scored.some(({ trial }) => isCombination(trial.algorithm))) return;
  const vote = bestVote(study.panel, scored);
  const isTimed = study.spec.limits.latencyMicros !== null;
  const nested = nestedCombinations(scored, vote).filter((one) => costOf(study, one) < study.leftMs(share));
  // How fast a vote is has to be measured on its models; what it answers is known from its members.
  if (vote !== null && !isTimed) await recordVote(study, vote, study.next);
  const queue = (isTimed && vote !== null ? [vote, ...nested] : nested).slice(
    0,
    left - Number(vote !== null && !isTimed),
  );
  const from = study.next;
  await study.runAll(
    queue.map((proposal, i) => ({ number: from + i, proposal })),
    share,
  );
}

async function recordVote(study: Study, vote: Proposal & { readonly scores: Float64Array }, number: number) {
  const { panel, spec, signal } = study;
  const startMs = study.elapsedMs;
  const { scores, algorithm, parameters, members } = vote;
  const rule: ThresholdRule = 'F1';
  const tools = { rule, seed: spec.seed, pace: new Pace(signal) };
  const judged = await judgeScores(panel.metric, panel.plan.target, scores, panel.actual, panel.repeats, tools);
  const elapsedMs = Math.round(study.elapsedMs - startMs);
  const plain = { state: 'COMPLETE', rung: 0, resource: 1, curve: [], rounds: null, latencyMicros: null } as const;
  study.record({ number, algorithm, parameters, members, ...plain, ...judged, elapsedMs, error: null }, scores);
}

/** What judging a combination will take: each member as often as it is fitted. */
function costOf(study: Study, { algorithm, parameters, members }: Proposal): number {
  const folds = Number(parameters['folds'] ?? 0);
  const times = algorithm === 'STACKING' ? folds + 1 : folds;
  return (members ?? []).reduce((sum, member) => sum + times * study.usualMs(member.algorithm), 0);
}

/** The chosen model, to be learned once more from all rows of the study: it has shown its worth on those that judged it. */
export async function resultOfAuto(study: Study, end: StudyResult['end']): Promise<StudyResult> {
  const scored = study.scored().filter(({ trial }) => trainingMs(study, trial) < study.leftMs(1));
  const best = scored.length === 0 ? (study.leaderboard()[0] ?? null) : choose(study.panel, scored);
  const { fit, ...rest } = study.result(end, best);
  if (fit === null || best === null) return { ...rest, fit };
  const parameters = best.members === null ? { ...fit.parameters, ...fixedRounds(best) } : fit.parameters;
  return { ...rest, fit: { ...fit, parameters, refit: true } };
}

/** What learning a trial's model twice will take, from the training rows and from all. */
function trainingMs(study: Study, { algorithm, members, elapsedMs }: Trial): number {
  const { parts, plan } = study.panel;
  const rows = parts.reduce((sum, { train }) => sum + train.length, 0);
  const all = 2 * plan.rows.train.length + plan.rows.validation.length;
  const judging =
    algorithm === 'VOTING' ? members!.reduce((sum, member) => sum + judgingMs(study, member), 0) : elapsedMs;
  return (judging * all) / rows;
}

/** What judging a member took. */
function judgingMs(study: Study, member: Member): number {
  const wanted = JSON.stringify(member.parameters);
  const trial = study
    .leaderboard()
    .find((one) => one.algorithm === member.algorithm && JSON.stringify(fixedRounds(one)) === wanted);
  return trial?.elapsedMs ?? study.usualMs(member.algorithm);
}

/** Share of the time that training the best models, as a vote would, will take. */
export function reserveOf(study: Study): number {
  const best = study.leaderboard().slice(0, MEMBERS);
  const needed = best.reduce((sum, trial) => sum + trainingMs(study, trial), 0);
  return study.spec.limits.seconds === null ? 1 : needed / (1000 * study.spec.limits.seconds);
}
