import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { type Algorithm, type AlgorithmName, ALGORITHM_SPECS, ALGORITHMS, type TaskName } from '../../ml/spec.js';
import type { FigureName } from '../../ml/train.js';
import { type Search, SEARCHES, type StudyResult, type TrialState } from '../../ml/tune.js';
import { connectionOf, DateTime, Long, Node, resultOf } from '../../platform/graphql.js';
import { Job, JobStateEnum } from '../../platform/job.types.js';
import type { JobState } from '../../platform/jobs.js';

function enumOf<Name extends string>(names: readonly Name[]): { readonly [N in Name]: N } {
  return Object.fromEntries(names.map((name) => [name, name])) as { readonly [N in Name]: N };
}

export const SingleAlgorithmEnum = enumOf(ALGORITHMS);
registerEnumType(SingleAlgorithmEnum, {
  name: 'SingleAlgorithm',
  description: 'An algorithm that stands alone.',
  valuesConfig: Object.fromEntries(
    ALGORITHMS.map((name) => [name, { description: ALGORITHM_SPECS[name].description }]),
  ) as { [A in Algorithm]: { description: string } },
});

export const SearchEnum = enumOf(SEARCHES);
registerEnumType(SearchEnum, {
  name: 'Search',
  description: 'How a study chooses what to try next.',
  valuesConfig: {
    RANDOM: { description: 'At random, every trial for itself.' },
    TPE: { description: 'Where good trials lie denser than bad ones (tree-structured Parzen estimators).' },
    ASHA: { description: 'Many cheap starts, of which the best third goes on at each rung (successive halving).' },
    AUTO: {
      description:
        'Strong settings of every family first, then a search around the best families, then combinations of the best.',
    },
  },
});

export const TrialStateEnum = {
  COMPLETE: 'COMPLETE',
  PRUNED: 'PRUNED',
  FAILED: 'FAILED',
  INFEASIBLE: 'INFEASIBLE',
} as const satisfies Record<TrialState, TrialState>;
registerEnumType(TrialStateEnum, {
  name: 'TrialState',
  description: 'How a trial ended.',
  valuesConfig: {
    COMPLETE: { description: 'It was judged in full.' },
    PRUNED: { description: 'It was given up early, as worse than others were by then, or for want of time.' },
    FAILED: { description: 'It broke; `errorCode` and `errorMessage` say why.' },
    INFEASIBLE: { description: 'Its model answers more slowly than the study allows.' },
  },
});

export const StudyEndEnum = {
  TRIALS: 'TRIALS',
  SECONDS: 'SECONDS',
  EXHAUSTED: 'EXHAUSTED',
} as const satisfies Record<StudyResult['end'], StudyResult['end']>;
registerEnumType(StudyEndEnum, {
  name: 'StudyEnd',
  description: 'What ended a study.',
  valuesConfig: {
    TRIALS: { description: 'Its limit of trials.' },
    SECONDS: { description: 'Its limit of time.' },
    EXHAUSTED: { description: 'There was nothing left to try.' },
  },
});

@ObjectType({ description: 'What ends a study, and what its models must keep; null sets no limit.' })
export class TuningLimits {
  @Field(() => Int, { nullable: true, description: 'Trials at most.' })
  trials: number | null;

  @Field(() => Float, { nullable: true, description: 'Seconds at most, of all runs of the study together.' })
  seconds: number | null;

  @Field(() => Float, { nullable: true, description: 'Microseconds that one row may take in the serving runtime.' })
  latencyMicros: number | null;
}

@InputType({ description: 'Limits of a study: trials, seconds, or both; the latency of its models besides.' })
export class TuningLimitsInput {
  @Field(() => Int, { nullable: true, description: 'Trials at most, 1 to 10000.' })
  trials?: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Seconds at most, of all runs of the study together; up to a week.',
  })
  seconds?: number | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'Microseconds that one row may take: the median through the exported model in the serving runtime. Slower trials are INFEASIBLE.',
  })
  latencyMicros?: number | null;
}

const RANGE = 'What is searched for one hyper-parameter instead of its usual range: a range of numbers, or values.';

@InputType({ description: RANGE })
export class TuningRangeInput {
  @Field(() => SingleAlgorithmEnum, { description: 'Of which algorithm.' })
  algorithm: Algorithm;

  @Field(() => String, { description: 'Which hyper-parameter.' })
  parameter: string;

  @Field(() => Float, { nullable: true, description: 'The least value; as usual unless told.' })
  low?: number | null;

  @Field(() => Float, { nullable: true, description: 'The greatest value; as usual unless told.' })
  high?: number | null;

  @Field(() => Boolean, { nullable: true, description: 'Whether by orders of magnitude; as usual unless told.' })
  log?: boolean | null;

  @Field(() => [String], { nullable: true, description: 'The values to try, as text, instead of a range.' })
  values?: string[] | null;
}

@ObjectType({ description: RANGE })
export class TuningRange {
  @Field(() => SingleAlgorithmEnum, { description: 'Of which algorithm.' })
  algorithm: Algorithm;

  @Field(() => String, { description: 'Which hyper-parameter.' })
  parameter: string;

  @Field(() => Float, { nullable: true, description: 'The least value; null: as usual.' })
  low: number | null;

  @Field(() => Float, { nullable: true, description: 'The greatest value; null: as usual.' })
  high: number | null;

  @Field(() => [String], { nullable: true, description: 'The values to try, as text; null for a range.' })
  values: string[] | null;
}

@ObjectType({ description: 'The loss of a trial on its way: less is better, whatever the metric.' })
export class TrialPoint {
  @Field(() => Float, { description: 'Share of the full rounds or rows.' })
  resource: number;

  @Field(() => Float, { description: 'The loss by then.' })
  loss: number;
}

@ObjectType({ description: 'One setting that was tried.' })
export class Trial {
  @Field(() => Int, { description: 'Its number in the study, from 0, in the order in which they were proposed.' })
  number: number;

  algorithm: AlgorithmName;

  @Field(() => TrialStateEnum, { description: 'How it ended.' })
  state: TrialState;

  @Field(() => Float, {
    nullable: true,
    description: 'The metric of the study on rows that the trial was not trained on; null unless it was judged.',
  })
  value: number | null;

  @Field(() => Float, { nullable: true, description: 'Lower end of its interval of 95 %.' })
  low: number | null;

  @Field(() => Float, { nullable: true, description: 'Upper end of its interval of 95 %.' })
  high: number | null;

  @Field(() => Int, { description: 'Rungs that it reached, from 0.' })
  rung: number;

  @Field(() => Float, { description: 'The share of the full rounds or rows that it was given.' })
  resource: number;

  @Field(() => [TrialPoint], { description: 'Its losses at the rungs.' })
  curve: readonly TrialPoint[];

  @Field(() => Int, { nullable: true, description: 'The rounds that were best, where rounds were stopped early.' })
  rounds: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Microseconds that one row took in the serving runtime; null unless the study limits them.',
  })
  latencyMicros: number | null;

  @Field(() => Long, { description: 'How long it took, in milliseconds.' })
  elapsedMs: number;

  @Field(() => String, { nullable: true, description: 'Why it broke, for a program.' })
  errorCode: string | null;

  @Field(() => String, { nullable: true, description: 'Why it broke, for a person.' })
  errorMessage: string | null;
}
export const TrialConnection = connectionOf(Trial);

@ObjectType({ description: 'How many trials have ended, and how.' })
export class TrialCounts {
  @Field(() => Int, { description: 'Judged in full.' })
  complete: number;

  @Field(() => Int, { description: 'Given up early.' })
  pruned: number;

  @Field(() => Int, { description: 'Broken.' })
  failed: number;

  @Field(() => Int, { description: 'Too slow to serve.' })
  infeasible: number;
}

@ObjectType({
  implements: Node,
  description: 'A search for the algorithm and the hyper-parameters that do best on rows not trained on.',
})
export class Study extends Node {
  modelId: string;
  metric: FigureName | null;
  task: TaskName;
  trainingId: string | null;

  @Field(() => ID, { description: 'The dataset version that it learns from.' })
  datasetVersionId: string;

  @Field(() => ID, { description: 'Which rows train and judge; those for testing are not looked at.' })
  splitId: string;

  @Field(() => String, { description: 'The column to tell.' })
  target: string;

  @Field(() => [String], { description: 'The columns to learn from.' })
  features: readonly string[];

  @Field(() => Long, { description: 'The seed of all randomness.' })
  seed: number;

  @Field(() => SearchEnum, { description: 'How it chooses what to try next.' })
  search: Search;

  @Field(() => [SingleAlgorithmEnum], { nullable: true, description: 'What is tried; null: all algorithms.' })
  algorithms: readonly Algorithm[] | null;

  @Field(() => Int, {
    nullable: true,
    description: 'By how many folds trials are judged; null: on the validation rows, or as AUTO sees fit.',
  })
  folds: number | null;

  @Field(() => TuningLimits, { description: 'What ends it, and what its models must keep.' })
  limits: TuningLimits;

  @Field(() => Job, { description: 'The work: state, progress, why it failed.' })
  job: Job;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;

  @Field(() => Long, { description: 'How long its runs took together, up to the last trial, in milliseconds.' })
  elapsedMs: number;

  @Field(() => StudyEndEnum, { nullable: true, description: 'What ended it; null until it has succeeded.' })
  endedBy: StudyResult['end'] | null;
}
export const StudyConnection = connectionOf(Study);

@InputType({ description: 'Which studies; what is left out excludes nothing.' })
export class StudyFilterInput {
  @Field(() => ID, { nullable: true, description: 'For this model only.' })
  modelId?: string | null;

  @Field(() => ID, { nullable: true, description: 'On this dataset version only.' })
  datasetVersionId?: string | null;

  @Field(() => [JobStateEnum], { nullable: true, description: 'In one of these states only.' })
  states?: JobState[] | null;
}

@ObjectType({ description: 'The study that was started.' })
export class StartTuningPayload {
  @Field(() => Study, { description: 'The study.' })
  study: Study;
}
export const StartTuningResult = resultOf(StartTuningPayload);

@InputType({ description: 'Which study to cancel.' })
export class CancelTuningInput {
  @Field(() => ID, { description: 'The study.' })
  studyId: string;
}

@ObjectType({ description: 'The study that was asked to end.' })
export class CancelTuningPayload {
  @Field(() => Study, { description: 'The study.' })
  study: Study;
}
export const CancelTuningResult = resultOf(CancelTuningPayload);

@InputType({ description: 'Which study to take up again.' })
export class RetryTuningInput {
  @Field(() => ID, { description: 'The study, failed or cancelled.' })
  studyId: string;
}

@ObjectType({ description: 'The study that is queued again.' })
export class RetryTuningPayload {
  @Field(() => Study, { description: 'The study.' })
  study: Study;
}
export const RetryTuningResult = resultOf(RetryTuningPayload);
