import {
  Arg,
  Args,
  Authorized,
  Field,
  FieldResolver,
  ID,
  InputType,
  Mutation,
  ObjectType,
  Resolver,
  Root,
} from 'type-graphql';
import { CurrentScope, PageArgs, resultOf } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { algorithmOf } from '../training/algorithm.types.js';
import { StartTrainingInput, StartTrainingPayload } from '../training/training.types.js';
import { Agreement } from './agreement.types.js';
import { type AgreedTrainingService, type DataUseRow, type DataUseService, onTime } from './data-use.service.js';
import { AgreementColumn, AgreementTraining, AgreementTrainingConnection } from './data-use.types.js';
import type { Purpose } from './purpose.js';
import { PurposeEnum } from './terms.types.js';

@InputType({ description: 'A training on another tenant’s data, under an agreement with it.' })
export class StartAgreedTrainingInput extends StartTrainingInput {
  @Field(() => ID, { description: 'The agreement about the dataset version.' })
  agreementId: string;

  @Field(() => PurposeEnum, { description: 'What for: one of its purposes, or one below.' })
  purpose: Purpose;
}

@ObjectType({ description: 'The training that was started.' })
export class StartAgreedTrainingPayload extends StartTrainingPayload {}
const StartAgreedTrainingResult = resultOf(StartAgreedTrainingPayload);

@Resolver(() => Agreement)
export class DataUseResolver {
  constructor(
    private readonly uses: DataUseService,
    private readonly agreed: AgreedTrainingService,
  ) {}

  @Authorized('training:write')
  @Mutation(() => StartAgreedTrainingResult, {
    description: 'Puts a training on another tenant’s data in the queue; nobody sees a row of them.',
  })
  async startAgreedTraining(
    @CurrentScope() scope: Scope,
    @Arg('input', () => StartAgreedTrainingInput, {
      description: 'What to train, under which agreement, and what for.',
    })
    input: StartAgreedTrainingInput,
  ): Promise<StartTrainingPayload> {
    return { training: await this.agreed.start(scope, { ...input, algorithm: algorithmOf(input.algorithm) }) };
  }

  @FieldResolver(() => [AgreementColumn], {
    nullable: true,
    description:
      'Of a dataset version, the columns that may be learned from; null for an endpoint, and for deleted data.',
  })
  async columns(@Root() { id }: Agreement, @CurrentScope() scope: Scope): Promise<AgreementColumn[] | null> {
    const columns = await this.uses.columns(scope, id);
    return columns && [...columns];
  }

  @FieldResolver(() => AgreementTrainingConnection, {
    description: 'Trainings on the data under this agreement, newest first; the same to both parties.',
  })
  trainings(
    @Root() { id }: Agreement,
    @CurrentScope() scope: Scope,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<AgreementTraining>> {
    return this.uses.list(scope, id, page);
  }
}

@Resolver(() => AgreementTraining)
export class AgreementTrainingResolver {
  @FieldResolver(() => Boolean, {
    nullable: true,
    description: 'Whether it ended by its deadline; null: nothing was promised, or it has not ended.',
  })
  isOnTime(@Root() use: DataUseRow): boolean | null {
    return onTime(use);
  }
}
