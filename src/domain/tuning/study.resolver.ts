import {
  Arg,
  Args,
  Authorized,
  Field,
  FieldResolver,
  ID,
  InputType,
  Int,
  Mutation,
  Query,
  Resolver,
  Root,
  Subscription,
} from 'type-graphql';
import {
  type Algorithm,
  ALGORITHM_SPECS,
  type AlgorithmName,
  type ParameterSpec,
  type TaskName,
} from '../../ml/spec.js';
import type { FigureName } from '../../ml/train.js';
import type { Search, SpaceOverride } from '../../ml/tune.js';
import { notFound } from '../../platform/errors.js';
import { type News } from '../../platform/events.js';
import { CurrentScope, Long, PageArgs, subjectTopic } from '../../platform/graphql.js';
import { isFinal } from '../../platform/jobs.js';
import { loadOne } from '../../platform/loader.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { FigureEnum } from '../models/metrics.types.js';
import type { ModelService } from '../models/model.service.js';
import { AlgorithmEnum, Model, ParameterValue, TrainingMember } from '../models/model.types.js';
import { ConstraintsInput } from '../training/constraint.types.js';
import type { TrainingService } from '../training/training.service.js';
import { TaskEnum, Training } from '../training/training.types.js';
import { type StudyService, type StudyView, type TrialRow } from './study.service.js';
import {
  CancelTuningInput,
  type CancelTuningPayload,
  CancelTuningResult,
  RetryTuningInput,
  type RetryTuningPayload,
  RetryTuningResult,
  SearchEnum,
  SingleAlgorithmEnum,
  type StartTuningPayload,
  StartTuningResult,
  Study,
  StudyConnection,
  StudyFilterInput,
  Trial,
  TrialConnection,
  TrialCounts,
  TuningLimitsInput,
  TuningRange,
  TuningRangeInput,
} from './study.types.js';

@InputType({
  description:
    'A study. Its best trial is trained and becomes the next version of a model: name an existing one, or a new one.',
})
export class StartTuningInput {
  @Field(() => ID, { description: 'The dataset version to learn from.' })
  datasetVersionId: string;

  @Field(() => ID, { description: 'A split of it.' })
  splitId: string;

  @Field(() => String, { description: 'The column to tell.' })
  target: string;

  @Field(() => [String], {
    nullable: true,
    description: 'The columns to learn from; those of role FEATURE unless told.',
  })
  features?: string[] | null;

  @Field(() => TaskEnum, { nullable: true, description: 'What to answer; AUTO unless told.' })
  task?: TaskName | null;

  @Field(() => String, {
    nullable: true,
    description: 'Two classes: which one precision, recall and the threshold are about; the rarer one unless told.',
  })
  positiveClass?: string | null;

  @Field(() => ConstraintsInput, {
    nullable: true,
    description: 'What no model may contradict; only algorithms that can be held to it are tried then.',
  })
  constraints?: ConstraintsInput | null;

  @Field(() => String, {
    nullable: true,
    description:
      'A column of numbers above 0 that says what each row counts; it is no feature then. All count the same unless told.',
  })
  weightColumn?: string | null;

  @Field(() => SearchEnum, { nullable: true, description: 'How to choose what to try next; AUTO unless told.' })
  search?: Search | null;

  @Field(() => [SingleAlgorithmEnum], { nullable: true, description: 'What to try; all algorithms unless told.' })
  algorithms?: Algorithm[] | null;

  @Field(() => [TuningRangeInput], { nullable: true, description: 'Ranges and values other than the usual ones.' })
  space?: TuningRangeInput[] | null;

  @Field(() => FigureEnum, {
    nullable: true,
    description: 'What decides; LOG_LOSS for classes and RMSE for numbers unless told.',
  })
  metric?: FigureName | null;

  @Field(() => Int, {
    nullable: true,
    description:
      'Judge trials by so many folds of the training and validation rows, 2 to 20, instead of on the validation rows.',
  })
  folds?: number | null;

  @Field(() => TuningLimitsInput, { description: 'What ends the study, and what its models must keep.' })
  limits: TuningLimitsInput;

  @Field(() => Long, { nullable: true, description: '0 to 2^32 - 1; drawn at random unless told.' })
  seed?: number | null;

  @Field(() => ID, { nullable: true, description: 'An existing model. Either this or modelName.' })
  modelId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The name of a model, made if there is none. Either this or modelId.',
  })
  modelName?: string | null;
}

@Resolver(() => Study)
export class StudyResolver {
  constructor(
    private readonly studies: StudyService,
    private readonly models: ModelService,
    private readonly trainings: TrainingService,
  ) {}

  @Authorized('training:read')
  @Query(() => Study, { nullable: true, description: 'A study.' })
  study(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The study.' }) id: string,
  ): Promise<StudyView> {
    return this.get(scope, id);
  }

  @Authorized('training:read')
  @Query(() => StudyConnection, { name: 'studies', description: 'Studies of the tenant, newest first.' })
  list(
    @CurrentScope() scope: Scope,
    @Arg('filter', () => StudyFilterInput, { nullable: true, description: 'Which ones; all unless told.' })
    filter: StudyFilterInput | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<StudyView>> {
    return this.studies.list(scope, filter ?? {}, page);
  }

  @Authorized('training:write')
  @Mutation(() => StartTuningResult, { description: 'Puts a study in the queue.' })
  async startTuning(
    @CurrentScope() scope: Scope,
    @Arg('input', () => StartTuningInput, { description: 'What to learn from what, and how to search.' })
    input: StartTuningInput,
  ): Promise<StartTuningPayload> {
    return { study: await this.studies.start(scope, { ...input, space: input.space?.map(overrideOf) ?? null }) };
  }

  @Authorized('training:write')
  @Mutation(() => CancelTuningResult, {
    description: 'Ends a study: at once if it waits, within a second if it runs. Its trials stay.',
  })
  async cancelTuning(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CancelTuningInput, { description: 'Which one.' }) input: CancelTuningInput,
  ): Promise<CancelTuningPayload> {
    return { study: await this.studies.cancel(scope, input.studyId) };
  }

  @Authorized('training:write')
  @Mutation(() => RetryTuningResult, {
    description: 'Puts a failed or cancelled study back in the queue; it goes on behind the trials that it has.',
  })
  async retryTuning(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RetryTuningInput, { description: 'Which one.' }) input: RetryTuningInput,
  ): Promise<RetryTuningPayload> {
    return { study: await this.studies.retry(scope, input.studyId) };
  }

  @Authorized('training:read')
  @Subscription(() => Study, {
    topics: 'concordat_subject',
    topicId: subjectTopic,
    description:
      'A study as it is now, and again with every change of what is asked for; complete once it has succeeded, failed or been cancelled.',
  })
  async tuningProgress(
    @Root() news: News,
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The study.' }) id: string,
  ): Promise<StudyView> {
    const study = await this.studies.find(scope, id);
    if (!study || isFinal(study.job.state)) news.last();
    if (!study) throw notFound('study');
    return study;
  }

  @FieldResolver(() => TaskEnum, { description: 'What was asked for.' })
  task(@Root() study: StudyView): TaskName {
    return study.task;
  }

  @FieldResolver(() => FigureEnum, {
    nullable: true,
    description: 'What decides; null: LOG_LOSS for classes and RMSE for numbers.',
  })
  metric(@Root() study: StudyView): FigureName | null {
    return study.metric;
  }

  @FieldResolver(() => [TuningRange], { description: 'Ranges and values other than the usual ones.' })
  space(@Root() study: StudyView): TuningRange[] {
    return study.space.map(({ algorithm, parameter, low = null, high = null, values }) => ({
      algorithm,
      parameter,
      low,
      high,
      values: values?.map(String) ?? null,
    }));
  }

  @FieldResolver(() => TrialCounts, { description: 'How many trials have ended, and how.' })
  async counts(@Root() study: StudyView, @CurrentScope() scope: Scope): Promise<TrialCounts> {
    const counts = await loadOne(scope, this.studies.countMany, study.id);
    const { COMPLETE = 0, PRUNED = 0, FAILED = 0, INFEASIBLE = 0 } = counts ?? {};
    return { complete: COMPLETE, pruned: PRUNED, failed: FAILED, infeasible: INFEASIBLE };
  }

  @Authorized('training:read')
  @FieldResolver(() => TrialConnection, { description: 'Its trials that have ended, by number.' })
  trials(
    @Root() study: StudyView,
    @CurrentScope() scope: Scope,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<TrialRow>> {
    return this.studies.trials(scope, study.id, page);
  }

  @Authorized('training:read')
  @FieldResolver(() => [Trial], { description: 'The complete trials, best first.' })
  leaderboard(
    @Root() study: StudyView,
    @CurrentScope() scope: Scope,
    @Arg('first', () => Int, { nullable: true, description: 'How many at most, 1 to 100; 20 unless told.' })
    first: number | null,
  ): Promise<TrialRow[]> {
    return this.studies.leaderboard(scope, study, first ?? 20);
  }

  @Authorized('training:read')
  @FieldResolver(() => Trial, {
    nullable: true,
    description:
      'The trial that was chosen: the best, or a simpler one as good within the noise. While the study runs: the best so far.',
  })
  bestTrial(@Root() study: StudyView, @CurrentScope() scope: Scope): Promise<TrialRow | null> {
    return this.studies.best(scope, study);
  }

  @Authorized('model:read')
  @FieldResolver(() => Model, { description: 'The model whose next version it becomes.' })
  async model(@Root() study: StudyView, @CurrentScope() scope: Scope): Promise<Model> {
    const model = await loadOne(scope, this.models.findMany, study.modelId);
    if (!model) throw notFound('model');
    return model;
  }

  @Authorized('training:read')
  @FieldResolver(() => Training, {
    nullable: true,
    description: 'The training of the trial that was chosen; null until the study has succeeded.',
  })
  async training(@Root() { trainingId }: StudyView, @CurrentScope() scope: Scope): Promise<Training | null> {
    return trainingId === null ? null : this.trainings.find(scope, trainingId);
  }

  private async get(scope: Scope, id: string): Promise<StudyView> {
    const study = await this.studies.find(scope, id);
    if (!study) throw notFound('study');
    return study;
  }
}

@Resolver(() => Trial)
export class TrialResolver {
  @FieldResolver(() => AlgorithmEnum, { description: 'How it learned.' })
  algorithm(@Root() trial: TrialRow): AlgorithmName {
    return trial.algorithm;
  }

  @FieldResolver(() => [ParameterValue], {
    description: 'The hyper-parameters that were chosen; others have defaults.',
  })
  parameters(@Root() { parameters }: TrialRow): ParameterValue[] {
    return valuesOf(parameters);
  }

  @FieldResolver(() => [TrainingMember], { description: 'Who is combined; empty for an algorithm that stands alone.' })
  members(@Root() { members }: TrialRow): TrainingMember[] {
    return (members ?? []).map(({ parameters, ...member }) => ({ ...member, parameters: valuesOf(parameters) }));
  }
}

function valuesOf(parameters: TrialRow['parameters']): ParameterValue[] {
  return Object.entries(parameters).map(([name, value]) => ({ name, value: String(value) }));
}

/** Values come as text: what they are is told by the parameter. One that nobody knows is refused further on. */
function overrideOf({ values, ...range }: TuningRangeInput): SpaceOverride {
  const specs: readonly ParameterSpec[] = ALGORITHM_SPECS[range.algorithm].parameters;
  const type = specs.find(({ name }) => name === range.parameter)?.type;
  const read = (text: string): number | boolean | string => {
    if (type === 'BOOL' && (text === 'true' || text === 'false')) return text === 'true';
    return type === 'INT' || type === 'FLOAT' ? Number(text) : text;
  };
  return { ...range, values: values?.map(read) ?? null };
}
