import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf, DateTime, Node, resultOf } from '../../platform/graphql.js';
import { AGREEMENT_STATES, type AgreementState, PARTIES, type Party, type Step } from './step.js';
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
    SUSPENDED: { description: 'Out of force until whoever suspended it resumes it.' },
    TERMINATED: { description: 'Ended by a party.' },
    EXPIRED: { description: 'Ended by its period.' },
    WITHDRAWN: { description: 'Taken back or declined before it was in force.' },
  },
});

export const PartyEnum = sameNames(PARTIES);
registerEnumType(PartyEnum, {
  name: 'AgreementParty',
  description: 'A part in an agreement.',
  valuesConfig: {
    PROVIDER: { description: 'Whose endpoint it is.' },
    CONSUMER: { description: 'Who asks it.' },
  },
});

export const StepEnum = {
  SIGN: 'sign',
  WITHDRAW: 'withdraw',
  SUSPEND: 'suspend',
  RESUME: 'resume',
  TERMINATE: 'terminate',
} as const satisfies Record<string, Step>;
registerEnumType(StepEnum, {
  name: 'AgreementStep',
  description: 'What a party can do with an agreement.',
  valuesConfig: {
    SIGN: { description: 'signAgreement.' },
    WITHDRAW: { description: 'withdrawAgreement.' },
    SUSPEND: { description: 'suspendAgreement.' },
    RESUME: { description: 'resumeAgreement.' },
    TERMINATE: { description: 'terminateAgreement.' },
  },
});

@ObjectType({ description: 'A party’s signature over the document.' })
export class AgreementSignature {
  @Field(() => PartyEnum, { description: 'Whose it is.' })
  party: Party;

  @Field(() => String, { description: 'Ed25519 (RFC 8032).' })
  algorithm: string;

  @Field(() => String, { description: 'CUSTODIAL: the platform keeps the key, and signed on a member’s word.' })
  custody: string;

  @Field(() => String, { description: 'The raw public key of the party, in hexadecimal.' })
  publicKeyHex: string;

  @Field(() => String, { description: 'The signature over the UTF-8 bytes of the document, in hexadecimal.' })
  signatureHex: string;

  @Field(() => DateTime, { description: 'When it was made.' })
  signedAt: Date;
}

@ObjectType({
  implements: Node,
  description: 'A usage agreement between a provider and a consumer: the only bridge between tenants.',
})
export class Agreement extends Node {
  @Field(() => ID, { description: 'The tenant whose endpoint it is.' })
  providerTenantId: string;

  @Field(() => String, { description: 'The name of the provider.' })
  providerName: string;

  @Field(() => ID, { description: 'The tenant that may ask the endpoint.' })
  consumerTenantId: string;

  @Field(() => String, {
    nullable: true,
    description: 'The name of the consumer; the provider sees it once it has signed.',
  })
  consumerName: string | null;

  @Field(() => ID, { description: 'What is offered.' })
  endpointId: string;

  @Field(() => Int, { description: 'The version of the terms.' })
  version: number;

  @Field(() => String, { description: 'The terms in a sentence.' })
  summary: string;

  @Field(() => String, {
    description: 'Canonical JSON (RFC 8785) of parties, endpoint and terms: the bytes that are signed.',
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
  @Field(() => ID, { description: 'The endpoint that is offered.' })
  endpointId: string;

  @Field(() => ID, { description: 'The consumer’s tenant id, which the consumer tells.' })
  consumerTenantId: string;

  @Field(() => AgreementTermsInput, { description: 'The terms.' })
  terms: AgreementTermsInput;
}

@InputType({ description: 'The agreement to sign.' })
export class SignAgreementInput {
  @Field(() => ID, { description: 'The agreement.' })
  agreementId: string;
}

@InputType({ description: 'The offer to take back or decline.' })
export class WithdrawAgreementInput extends SignAgreementInput {}

@InputType({ description: 'The agreement to suspend.' })
export class SuspendAgreementInput extends SignAgreementInput {}

@InputType({ description: 'The agreement to resume.' })
export class ResumeAgreementInput extends SignAgreementInput {}

@InputType({ description: 'The agreement to end.' })
export class TerminateAgreementInput extends SignAgreementInput {}

@ObjectType({ description: 'The agreement that was offered.' })
export class OfferAgreementPayload {
  @Field(() => Agreement, { description: 'As it stands now.' })
  agreement: Agreement;
}

@ObjectType({ description: 'The agreement that was signed.' })
export class SignAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was withdrawn.' })
export class WithdrawAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was suspended.' })
export class SuspendAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was resumed.' })
export class ResumeAgreementPayload extends OfferAgreementPayload {}

@ObjectType({ description: 'The agreement that was ended.' })
export class TerminateAgreementPayload extends OfferAgreementPayload {}

export const OfferAgreementResult = resultOf(OfferAgreementPayload);
export const SignAgreementResult = resultOf(SignAgreementPayload);
export const WithdrawAgreementResult = resultOf(WithdrawAgreementPayload);
export const SuspendAgreementResult = resultOf(SuspendAgreementPayload);
export const ResumeAgreementResult = resultOf(ResumeAgreementPayload);
export const TerminateAgreementResult = resultOf(TerminateAgreementPayload);
