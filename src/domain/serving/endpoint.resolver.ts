import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { Agreement } from '../agreements/agreement.types.js';
import { ModelInput, type ModelTask, ModelTaskEnum } from '../models/model.types.js';
import type { Endpoint as EndpointView, EndpointService } from './endpoint.service.js';
import {
  CreateEndpointInput,
  type CreateEndpointPayload,
  CreateEndpointResult,
  DeleteEndpointInput,
  type DeleteEndpointPayload,
  DeleteEndpointResult,
  Endpoint,
  EndpointConnection,
  RouteEndpointInput,
  type RouteEndpointPayload,
  RouteEndpointResult,
} from './serving.types.js';

@Resolver(() => Endpoint)
export class EndpointResolver {
  constructor(private readonly endpoints: EndpointService) {}

  @Authorized('endpoint:read')
  @Query(() => Endpoint, {
    nullable: true,
    description: 'An endpoint of the tenant’s own, or one that is offered to it or agreed with it.',
  })
  endpoint(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'Its id.' }) id: string,
  ): Promise<Endpoint> {
    return this.endpoints.get(scope, id);
  }

  @Authorized('endpoint:read')
  @Query(() => EndpointConnection, {
    name: 'endpoints',
    description: 'The endpoints of the tenant’s own, newest first. Those of others are at `agreements`.',
  })
  list(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Endpoint>> {
    return this.endpoints.list(scope, page);
  }

  @Authorized('endpoint:write')
  @Mutation(() => CreateEndpointResult, { description: 'Creates an endpoint that a model version answers.' })
  async createEndpoint(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateEndpointInput, { description: 'The endpoint.' }) input: CreateEndpointInput,
  ): Promise<CreateEndpointPayload> {
    return { endpoint: await this.endpoints.create(scope, input) };
  }

  @Authorized('endpoint:write')
  @Mutation(() => RouteEndpointResult, { description: 'Lets another version answer, from the next request on.' })
  async routeEndpoint(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RouteEndpointInput, { description: 'Where to.' }) input: RouteEndpointInput,
  ): Promise<RouteEndpointPayload> {
    return { endpoint: await this.endpoints.route(scope, input) };
  }

  @Authorized('endpoint:write')
  @Mutation(() => DeleteEndpointResult, { description: 'Deletes an endpoint on which no offer or agreement stands.' })
  async deleteEndpoint(
    @CurrentScope() scope: Scope,
    @Arg('input', () => DeleteEndpointInput, { description: 'Which.' }) { endpointId }: DeleteEndpointInput,
  ): Promise<DeleteEndpointPayload> {
    return { endpointId: (await this.endpoints.delete(scope, endpointId)).id };
  }

  @FieldResolver(() => ModelTaskEnum, { description: 'What it answers.' })
  task(@Root() { signature }: EndpointView): ModelTask {
    return signature.task;
  }

  @FieldResolver(() => [String], { nullable: true, description: 'The classes that it knows; null for regression.' })
  classes(@Root() { signature }: EndpointView): readonly string[] | null {
    return signature.classes;
  }

  @FieldResolver(() => [ModelInput], { description: 'The columns that a request sends, all of them.' })
  inputs(@Root() { signature }: EndpointView): readonly ModelInput[] {
    return signature.inputs;
  }
}

@Resolver(() => Agreement)
export class AgreementEndpointResolver {
  constructor(private readonly endpoints: EndpointService) {}

  @Authorized('endpoint:read')
  @FieldResolver(() => Endpoint, {
    nullable: true,
    description: 'What is offered, if it is an endpoint; null to the consumer once the agreement has ended.',
  })
  async endpoint(@Root() { endpointId }: Agreement, @CurrentScope() scope: Scope): Promise<Endpoint | null> {
    return endpointId === null ? null : this.endpoints.find(scope, endpointId);
  }
}
