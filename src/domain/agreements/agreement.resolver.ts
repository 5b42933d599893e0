import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { Agreement as AgreementView, AgreementService } from './agreement.service.js';
import {
  Agreement,
  AgreementConnection,
  AgreementFilterInput,
  AgreementSignature,
  OfferAgreementInput,
  type OfferAgreementPayload,
  OfferAgreementResult,
  ResumeAgreementInput,
  ResumeAgreementResult,
  SignAgreementInput,
  SignAgreementResult,
  SuspendAgreementInput,
  SuspendAgreementResult,
  TerminateAgreementInput,
  TerminateAgreementResult,
  WithdrawAgreementInput,
  WithdrawAgreementResult,
} from './agreement.types.js';
import { enforcementOf } from './enforcement.js';
import { AgreementTerms, AgreementTermStatus, termsOf, viewOfTerms } from './terms.types.js';

@Resolver(() => Agreement)
export class AgreementResolver {
  constructor(private readonly agreements: AgreementService) {}

  @Authorized('agreement:read')
  @Query(() => Agreement, { nullable: true, description: 'An agreement to which the tenant is a party.' })
  async agreement(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'Its id.' }) id: string,
  ): Promise<Agreement> {
    const agreement = await this.agreements.find(scope, id);
    if (!agreement) throw notFound('agreement');
    return agreement;
  }

  @Authorized('agreement:read')
  @Query(() => AgreementConnection, {
    name: 'agreements',
    description: 'The agreements to which the tenant is a party, newest first.',
  })
  list(
    @CurrentScope() scope: Scope,
    @Arg('filter', () => AgreementFilterInput, { nullable: true, description: 'All of them unless told.' })
    filter: AgreementFilterInput | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<Agreement>> {
    return this.agreements.list(scope, filter ?? {}, page);
  }

  @Authorized('agreement:write')
  @Mutation(() => OfferAgreementResult, { description: 'Offers an endpoint to another tenant; both have to sign.' })
  async offerAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => OfferAgreementInput, { description: 'The offer.' }) input: OfferAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.offer(scope, { ...input, terms: termsOf(input.terms) }) };
  }

  @Authorized('agreement:sign')
  @Mutation(() => SignAgreementResult, {
    description:
      'Signs for the tenant, with the key that the platform keeps for it. The second signature puts it in force.',
  })
  async signAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => SignAgreementInput, { description: 'Which.' }) { agreementId }: SignAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.sign(scope, agreementId) };
  }

  @Authorized('agreement:write')
  @Mutation(() => WithdrawAgreementResult, { description: 'Takes an offer back, or declines it.' })
  async withdrawAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => WithdrawAgreementInput, { description: 'Which.' }) { agreementId }: WithdrawAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.withdraw(scope, agreementId) };
  }

  @Authorized('agreement:write')
  @Mutation(() => SuspendAgreementResult, {
    description: 'Puts an agreement out of force at once, until it is resumed.',
  })
  async suspendAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => SuspendAgreementInput, { description: 'Which.' }) { agreementId }: SuspendAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.suspend(scope, agreementId) };
  }

  @Authorized('agreement:write')
  @Mutation(() => ResumeAgreementResult, { description: 'Ends the tenant’s own suspension of an agreement.' })
  async resumeAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => ResumeAgreementInput, { description: 'Which.' }) { agreementId }: ResumeAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.resume(scope, agreementId) };
  }

  @Authorized('agreement:write')
  @Mutation(() => TerminateAgreementResult, { description: 'Ends an agreement for good, at once.' })
  async terminateAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => TerminateAgreementInput, { description: 'Which.' }) { agreementId }: TerminateAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.terminate(scope, agreementId) };
  }

  @FieldResolver(() => AgreementTerms, { description: 'What was agreed.' })
  terms(@Root() { terms }: AgreementView): AgreementTerms {
    return viewOfTerms(terms);
  }

  @FieldResolver(() => [AgreementTermStatus], { description: 'Which of the terms are enforced, and by what.' })
  termStatus(@Root() { terms }: AgreementView): readonly AgreementTermStatus[] {
    return enforcementOf(terms);
  }

  @FieldResolver(() => [AgreementSignature], { description: 'Who has signed so far.' })
  signatures(@Root() { signatures }: AgreementView): AgreementSignature[] {
    return signatures.map((made) => ({
      ...made,
      publicKeyHex: made.publicKey.toString('hex'),
      signatureHex: made.signature.toString('hex'),
    }));
  }
}
