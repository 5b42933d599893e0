import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf, DateTime, enumOf, Node, resultOf } from '../../platform/graphql.js';
import type { Custody } from './agreement.entity.js';
import type { AgreementVersion as AgreementVersionView } from './agreement.service.js';
import { AGREEMENT_STATES, type AgreementState, PARTIES, type Party, type Step, STEPS } from './step.js';
import { AgreementTermsInput } from './terms.types.js';

const sameNames = <T extends string>(names: readonly T[]) =>
  Object.fromEntries(names.map((n) => [n, n])) as { [K in T]: K };

export const AgreementStateEnum = sameNames(AGREEMENT_STATES);
registerEnumType(AgreementStateEnum, {
  name: 'AgreementState',
  description: 'Where an agreement stands.',
  valuesConfig: {
    OFFERED: { description: 'Waits for signatures.' },
    ACTIVE: { description: 'Signed by both: in force within its period.' },
    SUSPENDED: { description: 'Out of force until whoever suspended it resumes it; after a breach, the other party.' },
    TERMINATING: { description: 'In force until the end of a notice.' },
    TERMINATED: { description: 'Ended by a party.' },
    EXPIRED: { description: 'Ended by its period.' },
    WITHDRAWN: { description: 'Taken back or declined before it was in force.' },
    SETTLED: { description: 'Ended, and its figures are frozen.' },
  },
});

export const PartyEnum = sameNames(PARTIES);
registerEnumType(PartyEnum, {
  name: 'AgreementParty',
  description: 'A part in an agreement.',
  valuesConfig: {
    PROVIDER: { description: 'Whose endpoint or data it is.' },
    CONSUMER: { description: 'Who asks it, or trains on it.' },
  },
});

/** The names of steps in capitals, as `STOP_RENEWAL` for `stopRenewal`. */
export const StepEnum = Object.fromEntries(
  Object.keys(STEPS).map((step) => [step.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(), step as Step]),
);
registerEnumType(StepEnum, {
  name: 'AgreementStep',
  description: 'What a party can do with an agreement.',
  valuesConfig: Object.fromEntries(
    Object.entries(StepEnum).map(([name, step]) => [name, { description: `${STEPS[step].mutation}.` }]),
  ),
});

export const CustodyEnum = enumOf<Custody>('Custody', 'Who keeps the private half of a key.', {
  CUSTODIAL: 'The platform, which signs on a member’s password: worth as much as the platform’s word.',
  OWN: 'The tenant itself: the platform can check signatures, and make none.',
});

export const VersionStateEnum = enumOf<AgreementVersionView['state']>(
  'AgreementVersionState',
  'What became of a version of the terms.',
  {
    PROPOSED: 'Waits for signatures.',
    AGREED: 'Signed by both. The last such version is, or was, in force.',
    DROPPED: 'Answered by other terms, taken back, rejected, or too late.',
  },
);

@ObjectType({ description: 'A party’s signature over the document.' })
export class AgreementSignature {
  @Field(() => PartyEnum, { description: 'Whose it is.' })
  party: Party;

  @Field(() => String, { description: 'Ed25519 (RFC 8032).' })
  algorithm: string;

  @Field(() => CustodyEnum, { description: 'Who keeps the key.' })
  custody: Custody;

  @Field(() => Int, { description: 'The version of the terms that was signed.' })
  version: number;

  @Field(() => String, { description: 'The raw public key of the party, in hexadecimal.' })
  publicKeyHex: string;

  @Field(() => String, { description: 'The signature over the UTF-8 bytes of the document, in hexadecimal.' })
  signatureHex: string;

  @Field(() => DateTime, { description: 'When it was made.' })
  signedAt: Date;
}

@ObjectType({ description: 'A version of the terms: the offer, a counter-offer or an amendment.' })
export class AgreementVersion {
  @Field(() => Int, { description: 'Its number, from 1.' })
  version: number;

  @Field(() => PartyEnum, { description: 'Who proposed it.' })
  proposedBy: Party;

  @Field(() => VersionStateEnum, { description: 'What became of it.' })
  state: AgreementVersionView['state'];

  @Field(() => String, { description: 'The terms in a sentence.' })
  summary: string;

  @Field(() => String, { description: 'Canonical JSON (RFC 8785): the text whose UTF-8 bytes are signed.' })
  document: string;

  @Field(() => String, { description: 'SHA-256 of those bytes, in hexadecimal.' })
  documentDigestHex: string;

  @Field(() => DateTime, { description: 'When it was proposed.' })
  proposedAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When both had signed, or null.' })
  agreedAt: Date | null;
}

@ObjectType({ description: 'An end that is announced.' })
export class AgreementNotice {
  @Field(() => PartyEnum, { description: 'Who gave notice.' })
  by: Party;

  @Field(() => DateTime, { description: 'Until when it runs. A period that ends before ends the agreement before.' })
  until: Date;
}

@ObjectType({
  description: 'Why the platform has suspended an agreement. The party that did not break it can resume it.',
})
export class AgreementBreach {
  @Field(() => PartyEnum, { description: 'Who broke it.' })
  by: Party;

  @Field(() => String, { description: 'How.' })
  reason: string;
}

@ObjectType({ description: 'The figures of an agreement at its end, frozen.' })
export class AgreementSettlement {
  @Field(() => String, {
    description:
      'Canonical JSON (RFC 8785): the sum of the monthly statements, each by its digest: rows answered, what they cost, and credits.',
  })
  document: string;

  @Field(() => String, { description: 'SHA-256 of its UTF-8 bytes, in hexadecimal.' })
  documentDigestHex: string;

  @Field(() => DateTime, { description: 'When it was made.' })
  settledAt: Date;
}

@ObjectType({
  implements: Node,
  description: 'A usage agreement between a provider and a consumer: the only bridge between tenants.',
})
export class Agreement extends Node {
  @Field(() => ID, { description: 'The tenant whose endpoint or data it is.' })
  providerTenantId: string;

  @Field(() => String, { description: 'The name of the provider.' })
  providerName: string;

  @Field(() => ID, { description: 'The tenant that may ask the endpoint, or train on the data.' })
  consumerTenantId: string;

  @Field(() => String, {
    nullable: true,
    description: 'The name of the consumer; the provider sees it once it has signed.',
  })
  consumerName: string | null;

  @Field(() => ID, { nullable: true, description: 'What is offered: this endpoint; null: a dataset version.' })
  endpointId: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'What is offered to train on: this dataset version; null: an endpoint.',
  })
  datasetVersionId: string | null;

  @Field(() => Int, { description: 'The version of the terms in force; before, of the offer.' })
  version: number;

  @Field(() => String, { description: 'The terms in a sentence.' })
  summary: string;

  @Field(() => String, {
    description:
      'Canonical JSON (RFC 8785) of parties, endpoint or dataset version, and terms: the bytes that are signed.',
  })
  document: string;

  @Field(() => String, { description: 'SHA-256 of the document, in hexadecimal.' })
  documentDigestHex: string;

  @Field(() => AgreementStateEnum, { description: 'Where it stands at this moment.' })
  state: AgreementState;

  @Field(() => PartyEnum, { description: 'The part of the tenant that asks.' })
  party: Party;

  @Field(() => [PartyEnum], { description: 'Who has suspended it.' })
  suspendedBy: readonly Party[];

  @Field(() => AgreementBreach, { nullable: true, description: 'Why the platform has suspended it, or null.' })
  breach: AgreementBreach | null;

  @Field(() => AgreementNotice, { nullable: true, description: 'The notice that was given, or null.' })
  notice: AgreementNotice | null;

  @Field(() => DateTime, { description: 'The first moment in force.' })
  validFrom: Date;

  @Field(() => DateTime, {
    description: 'The first moment out of force, as things stand: renewals and notice included.',
  })
  validUntil: Date;

  @Field(() => Boolean, { description: 'Whether it is prolonged at the end of its period, as things stand.' })
  renews: boolean;

  @Field(() => [StepEnum], { description: 'What the tenant that asks can do now.' })
  steps: readonly Step[];

  @Field(() => DateTime, { description: 'When it was offered.' })
  createdAt: Date;

  @Field(() => DateTime, { description: 'When its state last changed.' })
  changedAt: Date;
}

export const AgreementConnection = connectionOf(Agreement);

@InputType({ description: 'Which agreements.' })
export class AgreementFilterInput {
  @Field(() => ID, { nullable: true, description: 'Only those on this endpoint.' })
  endpointId?: string | null;

  @Field(() => PartyEnum, { nullable: true, description: 'Only those in which the tenant has this part.' })
  party?: Party | null;
}

@InputType({ description: 'An offer to another tenant.' })
export class OfferAgreementInput {
  @Field(() => ID, { nullable: true, description: 'The endpoint that is offered. Either this or datasetVersionId.' })
  endpointId?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'The dataset version that is offered to train on. Either this or endpointId.',
  })
  datasetVersionId?: string | null;

  @Field(() => ID, { description: 'The consumer’s tenant id, which the consumer tells.' })
  consumerTenantId: string;

  @Field(() => AgreementTermsInput, { description: 'The terms.' })
  terms: AgreementTermsInput;
}

@InputType({ description: 'An offer as an ODRL policy.' })
export class ImportAgreementInput {
  @Field(() => String, {
    description: 'JSON-LD in the profile of docs/odrl.md. Its assigner is the tenant, its assignee the consumer.',
  })
  document: string;
}

@InputType({ description: 'An agreement.' })
export class TerminateAgreementInput {
  @Field(() => ID, { description: 'The agreement.' })
  agreementId: string;
}

@InputType({
  description:
    'A signature: with the key that the platform keeps, on the password; or made outside with a key of the tenant’s own.',
})
export class SignAgreementInput extends TerminateAgreementInput {
  @Field(() => Int, {
    nullable: true,
    description: 'The version that was read and is signed; 1 unless told. Another one that waits is not signed.',
  })
  version?: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'The password of the member, for a custodial signature. Not needed with `signingKeyId`.',
  })
  password?: string | null;

  @Field(() => ID, { nullable: true, description: 'The key of the tenant’s own that has signed.' })
  signingKeyId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Its Ed25519 signature over the UTF-8 bytes of the document, 64 bytes in Base64.',
  })
  signatureBase64?: string | null;
}

@InputType({ description: 'The offer to take back or decline.' })
export class WithdrawAgreementInput extends TerminateAgreementInput {}

@InputType({ description: 'The agreement to suspend.' })
export class SuspendAgreementInput extends TerminateAgreementInput {}

@InputType({ description: 'The agreement to resume.' })
export class ResumeAgreementInput extends TerminateAgreementInput {}

@InputType({ description: 'The agreement whose amendment is taken back or rejected.' })
export class RejectAmendmentInput extends TerminateAgreementInput {}

@InputType({ description: 'The agreement that is not to be prolonged.' })
export class StopRenewalInput extends TerminateAgreementInput {}

@InputType({ description: 'The agreement to settle.' })
export class SettleAgreementInput extends TerminateAgreementInput {}

@InputType({ description: 'Other terms for an agreement in force.' })
export class AmendAgreementInput extends TerminateAgreementInput {
  @Field(() => AgreementTermsInput, { description: 'All of the terms, also those that stay as they are.' })
  terms: AgreementTermsInput;
}

@InputType({ description: 'Other terms for an offer of the other party.' })
export class CounterAgreementInput extends AmendAgreementInput {}

@ObjectType({ description: 'The agreement that was offered.' })
export class OfferAgreementPayload {
  @Field(() => Agreement, { description: 'As it stands now.' })
  agreement: Agreement;
}

@ObjectType({ description: 'The agreement that was offered.' })
export class ImportAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was signed.' })
export class SignAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement with the other terms.' })
export class CounterAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was withdrawn.' })
export class WithdrawAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement to which an amendment waits.' })
export class AmendAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement to which no amendment waits any more.' })
export class RejectAmendmentPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was suspended.' })
export class SuspendAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was resumed.' })
export class ResumeAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that is not prolonged any more.' })
export class StopRenewalPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was ended, or to which notice was given.' })
export class TerminateAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was settled.' })
export class SettleAgreementPayload extends OfferAgreementPayload {}

export const OfferAgreementResult = resultOf(OfferAgreementPayload);
export const ImportAgreementResult = resultOf(ImportAgreementPayload);
export const SignAgreementResult = resultOf(SignAgreementPayload);
export const CounterAgreementResult = resultOf(CounterAgreementPayload);
export const WithdrawAgreementResult = resultOf(WithdrawAgreementPayload);
export const AmendAgreementResult = resultOf(AmendAgreementPayload);
export const RejectAmendmentResult = resultOf(RejectAmendmentPayload);
export const SuspendAgreementResult = resultOf(SuspendAgreementPayload);
export const ResumeAgreementResult = resultOf(ResumeAgreementPayload);
export const StopRenewalResult = resultOf(StopRenewalPayload);
export const TerminateAgreementResult = resultOf(TerminateAgreementPayload);
export const SettleAgreementResult = resultOf(SettleAgreementPayload);
