import { Arg, Authorized, Field, ID, InputType, Mutation, Resolver } from 'type-graphql';
import { Columns, CurrentScope } from '../../platform/graphql.js';
import type { Scope } from '../../platform/scope.js';
import { PurposeEnum } from '../agreements/terms.types.js';
import type { PredictService } from './predict.service.js';
import { type PredictPayload, PredictResult } from './serving.types.js';

@InputType({ description: 'Rows to predict.' })
export class PredictInput {
  @Field(() => ID, { description: 'The endpoint.' })
  endpointId: string;

  @Field(() => Columns, { description: 'Every column of the endpoint’s signature, 1 to 10,000 rows.' })
  columns: Record<string, unknown[]>;

  @Field(() => PurposeEnum, { nullable: true, description: 'Why it is asked; must be declared under an agreement.' })
  purpose?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'The agreement to charge. Unless told: the oldest one in force that allows the purpose.',
  })
  agreementId?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'A UUID of the caller’s. The same request with the same key again is answered again, recorded and charged once; another request with it is a conflict.',
  })
  idempotencyKey?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      'Whether the answers are to be explained, as far as the agreement allows: of 100 rows at most. Not every model can be explained.',
  })
  explain?: boolean | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Where the caller says that it is, such as `eu-west`: small letters, digits and hyphens. Recorded as declared; nothing is decided by it.',
  })
  declaredRegion?: string | null;
}

@Resolver()
export class PredictResolver {
  constructor(private readonly predictions: PredictService) {}

  @Authorized('prediction:create')
  @Mutation(() => PredictResult, {
    description: 'Asks an endpoint for predictions: all rows or none. Once at most in an operation.',
  })
  async predict(
    @CurrentScope() scope: Scope,
    @Arg('input', () => PredictInput, { description: 'The rows.' }) input: PredictInput,
  ): Promise<PredictPayload> {
    return { prediction: await this.predictions.predict(scope, input) };
  }
}
