import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { AnswerOfferRequestPayload } from './listing.types.js';
import {
  AnswerOfferRequestInput,
  AnswerOfferRequestResult,
  DeclineOfferRequestInput,
  DeclineOfferRequestResult,
  OfferRequest,
  OfferRequestConnection,
  OfferRequestFilterInput,
  RequestOfferInput,
  type RequestOfferPayload,
  RequestOfferResult,
  WithdrawOfferRequestInput,
  WithdrawOfferRequestResult,
} from './listing.types.js';
import type { OfferRequestRow, OfferRequestService } from './offer-request.service.js';
import { AgreementTerms, termsOf, viewOfTerms } from './terms.types.js';

@Resolver(() => OfferRequest)
export class OfferRequestResolver {
  constructor(private readonly requests: OfferRequestService) {}

  @Authorized('agreement:read')
  @Query(() => OfferRequest, { nullable: true, description: 'A request for an offer, to either party.' })
  async offerRequest(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'Its id.' }) id: string,
  ): Promise<OfferRequest> {
    const request = await this.requests.find(scope, id);
    if (!request) throw notFound('offer request');
    return request;
  }

  @Authorized('agreement:read')
  @Query(() => OfferRequestConnection, {
    description: 'Requests for offers that the tenant has made, or that were made to it; newest first.',
  })
  offerRequests(
    @CurrentScope() scope: Scope,
    @Arg('filter', () => OfferRequestFilterInput, { nullable: true, description: 'All of them unless told.' })
    filter: OfferRequestFilterInput | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<OfferRequest>> {
    return this.requests.list(scope, filter ?? {}, page);
  }

  @Authorized('agreement:write')
  @Mutation(() => RequestOfferResult, {
    description: 'Asks the provider of a listing for an offer; it learns the id of the tenant that asks.',
  })
  async requestOffer(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RequestOfferInput, { description: 'On which listing, on which terms.' })
    input: RequestOfferInput,
  ): Promise<RequestOfferPayload> {
    return { offerRequest: await this.requests.make(scope, { ...input, terms: input.terms && termsOf(input.terms) }) };
  }

  @Authorized('agreement:write')
  @Mutation(() => AnswerOfferRequestResult, {
    description: 'Answers a request with an offer of what was listed; both have to sign it.',
  })
  async answerOfferRequest(
    @CurrentScope() scope: Scope,
    @Arg('input', () => AnswerOfferRequestInput, { description: 'Which, and on which terms.' })
    { offerRequestId, terms }: AnswerOfferRequestInput,
  ): Promise<AnswerOfferRequestPayload> {
    const offer = { offerRequestId, terms: terms && termsOf(terms) };
    return { agreement: await this.requests.answer(scope, offer) };
  }

  @Authorized('agreement:write')
  @Mutation(() => DeclineOfferRequestResult, { description: 'Makes no offer on a request.' })
  async declineOfferRequest(
    @CurrentScope() scope: Scope,
    @Arg('input', () => DeclineOfferRequestInput, { description: 'Which.' })
    { offerRequestId: id }: DeclineOfferRequestInput,
  ): Promise<RequestOfferPayload> {
    return { offerRequest: await this.requests.end(scope, { id, party: 'PROVIDER' }) };
  }

  @Authorized('agreement:write')
  @Mutation(() => WithdrawOfferRequestResult, { description: 'Takes a request back.' })
  async withdrawOfferRequest(
    @CurrentScope() scope: Scope,
    @Arg('input', () => WithdrawOfferRequestInput, { description: 'Which.' })
    { offerRequestId: id }: WithdrawOfferRequestInput,
  ): Promise<RequestOfferPayload> {
    return { offerRequest: await this.requests.end(scope, { id, party: 'CONSUMER' }) };
  }

  @FieldResolver(() => AgreementTerms, { nullable: true, description: 'Terms that the consumer would sign, or null.' })
  terms(@Root() { terms }: OfferRequestRow): AgreementTerms | null {
    return terms && viewOfTerms(terms);
  }
}
