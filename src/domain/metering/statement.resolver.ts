import { Arg, Authorized, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { CurrentScope } from '../../platform/graphql.js';
import type { Scope } from '../../platform/scope.js';
import { Delivery, Price } from '../agreements/terms.types.js';
import type { StatementVersion as VersionFigures } from './statement.js';
import type { StatementService } from './statement.service.js';
import { Statement, StatementVersion } from './statement.types.js';

@Resolver(() => Statement)
export class StatementResolver {
  constructor(private readonly service: StatementService) {}

  @Authorized('usage:read')
  @Query(() => Statement, {
    nullable: true,
    description: 'The monthly statement of an agreement to which the tenant is a party.',
  })
  statement(
    @CurrentScope() scope: Scope,
    @Arg('agreementId', () => ID, { description: 'The agreement.' }) agreementId: string,
    @Arg('month', () => String, { description: 'A month in UTC, YYYY-MM, that has begun.' }) month: string,
  ): Promise<Statement> {
    return this.service.read(scope, agreementId, month);
  }
}

@Resolver(() => StatementVersion)
export class StatementVersionResolver {
  @Authorized('usage:read')
  @FieldResolver(() => Delivery, { nullable: true, description: 'What was promised; null: nothing.' })
  delivery(@Root() version: VersionFigures): Delivery | null {
    return version.delivery;
  }

  @Authorized('usage:read')
  @FieldResolver(() => Price, { nullable: true, description: 'The price; null: there is none.' })
  price(@Root() version: VersionFigures): Price | null {
    return version.price;
  }
}
