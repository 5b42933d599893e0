import { Arg, Args, Authorized, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentAccount, CurrentScope, PageArgs, type RequestContext } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope, SignedIn } from '../../platform/scope.js';
import type { AgreementService } from './agreement.service.js';
import {
  Agreement,
  AgreementConnection,
  AgreementFilterInput,
  AgreementSettlement,
  AgreementSignature,
  AgreementVersion,
  AmendAgreementInput,
  AmendAgreementResult,
  CounterAgreementInput,
  CounterAgreementResult,
  ImportAgreementInput,
  ImportAgreementResult,
  OfferAgreementInput,
  type OfferAgreementPayload,
  OfferAgreementResult,
  RejectAmendmentInput,
  RejectAmendmentResult,
  ResumeAgreementInput,
  ResumeAgreementResult,
  SettleAgreementInput,
  SettleAgreementResult,
  SignAgreementInput,
  SignAgreementResult,
  StopRenewalInput,
  StopRenewalResult,
  SuspendAgreementInput,
  SuspendAgreementResult,
  TerminateAgreementInput,
  TerminateAgreementResult,
  WithdrawAgreementInput,
  WithdrawAgreementResult,
} from './agreement.types.js';
import { enforcementOf } from './enforcement.js';
import { exportOdrl } from './odrl.js';
import type { Hand, Person } from './signing-key.service.js';
import { AgreementTerms, AgreementTermStatus, termsOf, viewOfTerms } from './terms.types.js';
import type { Agreement as AgreementView, AgreementVersion as AgreementVersionView } from './view.js';

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
  @Mutation(() => OfferAgreementResult, {
    description: 'Offers an endpoint, or a dataset version to train on, to another tenant; both have to sign.',
  })
  async offerAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => OfferAgreementInput, { description: 'The offer.' }) input: OfferAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.offer(scope, { ...input, terms: termsOf(input.terms) }) };
  }

  @Authorized('agreement:write')
  @Mutation(() => ImportAgreementResult, {
    description: 'Offers what an ODRL policy says; docs/odrl.md has the profile.',
  })
  async importAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => ImportAgreementInput, { description: 'The policy.' }) { document }: ImportAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.offerOdrl(scope, document) };
  }

  @Authorized('agreement:sign')
  @Mutation(() => SignAgreementResult, {
    description: 'Signs what waits for signatures: the offer, or an amendment. The second signature puts it in force.',
  })
  async signAgreement(
    @CurrentScope() scope: Scope,
    @CurrentAccount() account: SignedIn,
    @Ctx() { address }: RequestContext,
    @Arg('input', () => SignAgreementInput, { description: 'What, and how.' }) input: SignAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.sign(scope, input, handOf(input, { account, address })) };
  }

  @Authorized('agreement:write')
  @Mutation(() => CounterAgreementResult, {
    description: 'Answers an offer with other terms; signatures of the earlier ones count no more.',
  })
  async counterAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CounterAgreementInput, { description: 'The other terms.' }) input: CounterAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.counter(scope, input.agreementId, termsOf(input.terms)) };
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
  @Mutation(() => AmendAgreementResult, {
    description: 'Proposes other terms for an agreement in force; the old ones hold until both have signed.',
  })
  async amendAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => AmendAgreementInput, { description: 'The other terms.' }) input: AmendAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.amend(scope, input.agreementId, termsOf(input.terms)) };
  }

  @Authorized('agreement:write')
  @Mutation(() => RejectAmendmentResult, {
    description: 'Takes an amendment back, or rejects it; what is in force stays.',
  })
  async rejectAmendment(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RejectAmendmentInput, { description: 'Which.' }) { agreementId }: RejectAmendmentInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.reject(scope, agreementId) };
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
  @Mutation(() => ResumeAgreementResult, {
    description: 'Ends the tenant’s own suspension of an agreement, and one for a breach of the other party.',
  })
  async resumeAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => ResumeAgreementInput, { description: 'Which.' }) { agreementId }: ResumeAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.resume(scope, agreementId) };
  }

  @Authorized('agreement:write')
  @Mutation(() => StopRenewalResult, { description: 'Lets an agreement end with its period.' })
  async stopRenewal(
    @CurrentScope() scope: Scope,
    @Arg('input', () => StopRenewalInput, { description: 'Which.' }) { agreementId }: StopRenewalInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.stopRenewal(scope, agreementId) };
  }

  @Authorized('agreement:write')
  @Mutation(() => TerminateAgreementResult, {
    description:
      'Ends an agreement for good: after the notice that its terms ask for, or at once if they ask for none or the other party has given notice too.',
  })
  async terminateAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => TerminateAgreementInput, { description: 'Which.' }) { agreementId }: TerminateAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.terminate(scope, agreementId) };
  }

  @Authorized('agreement:write')
  @Mutation(() => SettleAgreementResult, {
    description: 'Freezes the figures of an agreement that has ended; the platform does it by itself after a while.',
  })
  async settleAgreement(
    @CurrentScope() scope: Scope,
    @Arg('input', () => SettleAgreementInput, { description: 'Which.' }) { agreementId }: SettleAgreementInput,
  ): Promise<OfferAgreementPayload> {
    return { agreement: await this.agreements.settle(scope, agreementId) };
  }

  @FieldResolver(() => AgreementTerms, { description: 'What was agreed.' })
  terms(@Root() { terms }: AgreementView): AgreementTerms {
    return viewOfTerms(terms);
  }

  @FieldResolver(() => [AgreementTermStatus], { description: 'Which of the terms are enforced, and by what.' })
  termStatus(@Root() { terms }: AgreementView): readonly AgreementTermStatus[] {
    return enforcementOf(terms);
  }

  @FieldResolver(() => [AgreementSignature], { description: 'Who has signed this version so far.' })
  signatures(@Root() { signatures }: AgreementView): AgreementSignature[] {
    return signatures.map(viewOfSignature);
  }

  @FieldResolver(() => String, { description: 'The bytes that are signed, in Base64.' })
  documentBase64(@Root() { document }: AgreementView): string {
    return Buffer.from(document, 'utf8').toString('base64');
  }

  @FieldResolver(() => String, {
    description: 'The version in force, or the offer, as an ODRL policy (W3C) in JSON-LD; docs/odrl.md.',
  })
  odrl(@Root() agreement: AgreementView): string {
    const isAgreed = agreement.versions.some((one) => one.version === agreement.version && one.state === 'AGREED');
    return JSON.stringify(exportOdrl({ ...agreement, agreementId: agreement.id, isAgreed }));
  }

  @FieldResolver(() => AgreementVersion, {
    nullable: true,
    description: 'What waits for signatures: the offer, or an amendment; null for nothing.',
  })
  proposal(@Root() { proposal }: AgreementView): AgreementVersionView | null {
    return proposal;
  }

  @FieldResolver(() => [AgreementVersion], {
    description: 'Every version of the terms that was ever proposed, oldest first.',
  })
  versions(@Root() { versions }: AgreementView): readonly AgreementVersionView[] {
    return versions;
  }

  @FieldResolver(() => AgreementSettlement, { nullable: true, description: 'The final figures, once it is settled.' })
  settlement(@Root() { settlement }: AgreementView): AgreementSettlement | null {
    return settlement && { ...settlement, documentDigestHex: settlement.documentDigest.toString('hex') };
  }
}

@Resolver(() => AgreementVersion)
export class AgreementVersionResolver {
  @FieldResolver(() => AgreementTerms, { description: 'The terms.' })
  terms(@Root() { terms }: AgreementVersionView): AgreementTerms {
    return viewOfTerms(terms);
  }

  @FieldResolver(() => String, { description: 'The bytes that are signed, in Base64.' })
  documentBase64(@Root() { document }: AgreementVersionView): string {
    return Buffer.from(document, 'utf8').toString('base64');
  }

  @FieldResolver(() => [AgreementSignature], { description: 'Who has signed it so far.' })
  signatures(@Root() { signatures }: AgreementVersionView): AgreementSignature[] {
    return signatures.map(viewOfSignature);
  }
}

function viewOfSignature(made: AgreementVersionView['signatures'][number]): AgreementSignature {
  return { ...made, publicKeyHex: made.publicKey.toString('hex'), signatureHex: made.signature.toString('hex') };
}

function handOf(input: SignAgreementInput, person: Person): Hand {
  const { signingKeyId, signatureBase64, password } = input;
  if (signingKeyId) return { custody: 'OWN', signingKeyId, signature: Buffer.from(signatureBase64 ?? '', 'base64') };
  return { custody: 'CUSTODIAL', person, password: password ?? '' };
}
