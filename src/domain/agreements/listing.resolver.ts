import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { Listing as ListingView, ListingService } from './listing.service.js';
import {
  ChangeListingInput,
  ChangeListingResult,
  CreateListingInput,
  type CreateListingPayload,
  CreateListingResult,
  Listing,
  ListingConnection,
  WithdrawListingInput,
  WithdrawListingResult,
} from './listing.types.js';
import { AgreementTerms, termsOf, viewOfTerms } from './terms.types.js';

@Resolver(() => Listing)
export class ListingResolver {
  constructor(private readonly listings: ListingService) {}

  @Authorized('agreement:read')
  @Query(() => ListingConnection, {
    description: 'What other tenants have listed for all, or for this tenant; newest first.',
  })
  catalogue(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Listing>> {
    return this.listings.catalogue(scope, page);
  }

  @Authorized('agreement:read')
  @Query(() => ListingConnection, {
    name: 'listings',
    description: 'What the tenant itself has listed, also what it has withdrawn; newest first.',
  })
  list(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Listing>> {
    return this.listings.list(scope, page);
  }

  @Authorized('agreement:read')
  @Query(() => Listing, { nullable: true, description: 'A listing of the tenant’s own, or one that it may see.' })
  async listing(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'Its id.' }) id: string,
  ): Promise<Listing> {
    const listing = await this.listings.find(scope, id);
    if (!listing) throw notFound('listing');
    return listing;
  }

  @Authorized('agreement:write')
  @Mutation(() => CreateListingResult, {
    description: 'Lists an endpoint in the catalogue. Nobody may use it for that.',
  })
  async createListing(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateListingInput, { description: 'What is to be seen, and by whom.' })
    input: CreateListingInput,
  ): Promise<CreateListingPayload> {
    return { listing: await this.listings.create(scope, { ...input, terms: input.terms && termsOf(input.terms) }) };
  }

  @Authorized('agreement:write')
  @Mutation(() => ChangeListingResult, {
    description: 'Shows something else from now on, or to others; lists again what was withdrawn.',
  })
  async changeListing(
    @CurrentScope() scope: Scope,
    @Arg('input', () => ChangeListingInput, { description: 'What is to be seen, and by whom.' })
    input: ChangeListingInput,
  ): Promise<CreateListingPayload> {
    return { listing: await this.listings.change(scope, { ...input, terms: input.terms && termsOf(input.terms) }) };
  }

  @Authorized('agreement:write')
  @Mutation(() => WithdrawListingResult, { description: 'Takes a listing out of the catalogue.' })
  async withdrawListing(
    @CurrentScope() scope: Scope,
    @Arg('input', () => WithdrawListingInput, { description: 'Which.' }) { listingId }: WithdrawListingInput,
  ): Promise<CreateListingPayload> {
    return { listing: await this.listings.withdraw(scope, listingId) };
  }

  @FieldResolver(() => AgreementTerms, { nullable: true, description: 'Terms as an example, or null.' })
  terms(@Root() { terms }: ListingView): AgreementTerms | null {
    return terms && viewOfTerms(terms);
  }
}
