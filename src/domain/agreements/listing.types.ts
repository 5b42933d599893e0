import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, enumOf, Node, resultOf } from '../../platform/graphql.js';
import { OfferAgreementPayload, PartyEnum } from './agreement.types.js';
import type { OfferRequestRow } from './offer-request.service.js';
import type { Party } from './step.js';
import { AgreementTermsInput } from './terms.types.js';

export const ListingStateEnum = enumOf<'LISTED' | 'WITHDRAWN'>('ListingState', 'Whether a listing is to be seen.', {
  LISTED: 'By those for whom it is.',
  WITHDRAWN: 'By its provider only.',
});

export const ListingAudienceEnum = enumOf<'ALL' | 'NAMED'>('ListingAudience', 'Who sees a listing.', {
  ALL: 'Every tenant.',
  NAMED: 'The tenants that the provider named.',
});

export const OfferRequestStateEnum = enumOf<OfferRequestRow['state']>(
  'OfferRequestState',
  'What became of a request for an offer.',
  {
    OPEN: 'Waits for the provider.',
    ANSWERED: 'The provider has made an offer.',
    DECLINED: 'The provider makes none.',
    WITHDRAWN: 'The consumer has taken it back.',
  },
);

@ObjectType({ description: 'A column that an endpoint takes.' })
export class ListedColumn {
  @Field(() => String, { description: 'Its name.' })
  name: string;

  @Field(() => String, { description: 'What it holds: number, category, boolean, date.' })
  kind: string;
}

@ObjectType({ description: 'What an endpoint takes and answers, as far as a listing tells.' })
export class ListedSchema {
  @Field(() => String, { description: 'What is answered: binary, multiclass or regression.' })
  task: string;

  @Field(() => [String], { nullable: true, description: 'The classes that are answered; null: a value is.' })
  classes: readonly string[] | null;

  @Field(() => [ListedColumn], { description: 'The columns that are asked for.' })
  columns: readonly ListedColumn[];
}

@ObjectType({
  implements: Node,
  description: 'Something that a provider shows in the catalogue, to all tenants or to those that it named.',
})
export class Listing extends Node {
  @Field(() => ID, { description: 'Whose it is.' })
  tenantId: string;

  @Field(() => String, { description: 'The name of that tenant.' })
  providerName: string;

  @Field(() => ListingStateEnum, { description: 'Whether others see it.' })
  state: 'LISTED' | 'WITHDRAWN';

  @Field(() => String, { description: 'What the provider calls it.' })
  name: string;

  @Field(() => String, { nullable: true, description: 'What the provider says of it.' })
  description: string | null;

  @Field(() => ListedSchema, { nullable: true, description: 'What it takes and answers; null if that is not shown.' })
  schema: ListedSchema | null;

  @Field(() => ID, { nullable: true, description: 'The endpoint; null to others, whom an offer tells.' })
  endpointId: string | null;

  @Field(() => ListingAudienceEnum, { nullable: true, description: 'Who sees it; null to others.' })
  audience: 'ALL' | 'NAMED' | null;

  @Field(() => [ID], { nullable: true, description: 'The tenants that were named, if they were; null to others.' })
  tenantIds: readonly string[] | null;

  @Field(() => DateTime, { description: 'When it was made.' })
  createdAt: Date;

  @Field(() => DateTime, { description: 'When it last changed.' })
  changedAt: Date;
}
export const ListingConnection = connectionOf(Listing);

@InputType({ description: 'A listing.' })
export class WithdrawListingInput {
  @Field(() => ID, { description: 'The listing.' })
  listingId: string;
}

@InputType({ description: 'What a listing shows, and to whom.' })
class ListingContentInput {
  @Field(() => String, { nullable: true, description: 'Up to 200 characters; the endpoint’s name unless told.' })
  name?: string | null;

  @Field(() => String, { nullable: true, description: 'Up to 10,000 characters.' })
  description?: string | null;

  @Field(() => Boolean, { description: 'Whether task, classes, and names and kinds of columns are to be seen.' })
  showsSchema: boolean;

  @Field(() => AgreementTermsInput, {
    nullable: true,
    description: 'Terms as an example, which could be offered as they are.',
  })
  terms?: AgreementTermsInput | null;

  @Field(() => [ID], { nullable: true, description: 'The tenants that see it; left out: all.' })
  tenantIds?: string[] | null;
}

@InputType({ description: 'A new listing.' })
export class CreateListingInput extends ListingContentInput {
  @Field(() => ID, { description: 'The endpoint that could be offered.' })
  endpointId: string;
}

@InputType({ description: 'What a listing shows from now on, and to whom; all of it.' })
export class ChangeListingInput extends ListingContentInput {
  @Field(() => ID, { description: 'The listing.' })
  listingId: string;
}

@ObjectType({ description: 'The listing that was made.' })
export class CreateListingPayload {
  @Field(() => Listing, { description: 'As it is now.' })
  listing: Listing;
}

@ObjectType({ description: 'The listing that was changed.' })
export class ChangeListingPayload extends CreateListingPayload {}

@ObjectType({ description: 'The listing that was withdrawn.' })
export class WithdrawListingPayload extends CreateListingPayload {}

@ObjectType({ implements: Node, description: 'A consumer’s request for an offer on a listing.' })
export class OfferRequest extends Node {
  @Field(() => ID, { description: 'The listing.' })
  listingId: string;

  @Field(() => ID, { description: 'Who is to make the offer.' })
  providerTenantId: string;

  @Field(() => ID, { description: 'Who asks.' })
  consumerTenantId: string;

  @Field(() => OfferRequestStateEnum, { description: 'What became of it.' })
  state: OfferRequestRow['state'];

  @Field(() => String, { nullable: true, description: 'What the consumer says.' })
  message: string | null;

  @Field(() => ID, { nullable: true, description: 'The agreement that was offered, or null.' })
  agreementId: string | null;

  @Field(() => DateTime, { description: 'When it was made.' })
  createdAt: Date;

  @Field(() => DateTime, { description: 'When its state last changed.' })
  changedAt: Date;
}
export const OfferRequestConnection = connectionOf(OfferRequest);

@InputType({ description: 'Which requests for offers.' })
export class OfferRequestFilterInput {
  @Field(() => PartyEnum, { nullable: true, description: 'Only those in which the tenant has this part.' })
  party?: Party | null;

  @Field(() => OfferRequestStateEnum, { nullable: true, description: 'Only those in this state.' })
  state?: OfferRequestRow['state'] | null;
}

@InputType({ description: 'A request for an offer.' })
export class RequestOfferInput {
  @Field(() => ID, { description: 'The listing on which an offer is asked for.' })
  listingId: string;

  @Field(() => AgreementTermsInput, {
    nullable: true,
    description: 'Terms that the tenant would sign; left out: the example, or what the provider offers.',
  })
  terms?: AgreementTermsInput | null;

  @Field(() => String, { nullable: true, description: 'Up to 10,000 characters for the provider.' })
  message?: string | null;
}

@InputType({ description: 'A request for an offer.' })
export class DeclineOfferRequestInput {
  @Field(() => ID, { description: 'The request.' })
  offerRequestId: string;
}

@InputType({ description: 'The request to take back.' })
export class WithdrawOfferRequestInput extends DeclineOfferRequestInput {}

@InputType({ description: 'The request to answer, and on which terms.' })
export class AnswerOfferRequestInput extends DeclineOfferRequestInput {
  @Field(() => AgreementTermsInput, {
    nullable: true,
    description: 'The terms of the offer; left out: those that were asked for, else the example of the listing.',
  })
  terms?: AgreementTermsInput | null;
}

@ObjectType({ description: 'The request that was made.' })
export class RequestOfferPayload {
  @Field(() => OfferRequest, { description: 'As it is now.' })
  offerRequest: OfferRequest;
}

@ObjectType({ description: 'The request that was declined.' })
export class DeclineOfferRequestPayload extends RequestOfferPayload {}

@ObjectType({ description: 'The request that was taken back.' })
export class WithdrawOfferRequestPayload extends RequestOfferPayload {}

@ObjectType({ description: 'The agreement that was offered.' })
export class AnswerOfferRequestPayload extends OfferAgreementPayload {}

export const CreateListingResult = resultOf(CreateListingPayload);
export const ChangeListingResult = resultOf(ChangeListingPayload);
export const WithdrawListingResult = resultOf(WithdrawListingPayload);
export const RequestOfferResult = resultOf(RequestOfferPayload);
export const DeclineOfferRequestResult = resultOf(DeclineOfferRequestPayload);
export const WithdrawOfferRequestResult = resultOf(WithdrawOfferRequestPayload);
export const AnswerOfferRequestResult = resultOf(AnswerOfferRequestPayload);
