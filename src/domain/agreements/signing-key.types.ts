import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, Node, resultOf } from '../../platform/graphql.js';
import type { Custody } from './agreement.entity.js';
import { CustodyEnum } from './agreement.types.js';

@ObjectType({ implements: Node, description: 'A key with which signatures of the tenant are made.' })
export class SigningKey extends Node {
  @Field(() => String, { description: 'Its name, for people.' })
  name: string;

  @Field(() => CustodyEnum, { description: 'Who keeps its private half.' })
  custody: Custody;

  @Field(() => DateTime, { description: 'When it was made known.' })
  createdAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'Since when it can sign, or null.' })
  confirmedAt: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'Since when it signs nothing more, or null.' })
  revokedAt: Date | null;
}

export const SigningKeyConnection = connectionOf(SigningKey);

@InputType({ description: 'A public key of the tenant’s own.' })
export class CreateSigningKeyInput {
  @Field(() => String, { description: 'A name for people, 1 to 100 characters.' })
  name: string;

  @Field(() => String, { description: 'The raw public key (Ed25519, RFC 8032): 32 bytes in hexadecimal.' })
  publicKeyHex: string;
}

@InputType({ description: 'The proof that a key is the tenant’s.' })
export class ConfirmSigningKeyInput {
  @Field(() => ID, { description: 'The key.' })
  signingKeyId: string;

  @Field(() => String, { description: 'Its signature over the UTF-8 bytes of the challenge, 64 bytes in Base64.' })
  signatureBase64: string;

  @Field(() => String, { description: 'The password of the member, because the key will sign for the tenant.' })
  password: string;
}

@InputType({ description: 'The key that is to sign nothing more.' })
export class RevokeSigningKeyInput {
  @Field(() => ID, { description: 'The key.' })
  signingKeyId: string;
}

@ObjectType({ description: 'The key, which waits for its proof.' })
export class CreateSigningKeyPayload {
  @Field(() => SigningKey, { description: 'The key.' })
  signingKey: SigningKey;
}

@ObjectType({ description: 'The key, which can sign.' })
export class ConfirmSigningKeyPayload extends CreateSigningKeyPayload {}

@ObjectType({ description: 'The key, which signs nothing more.' })
export class RevokeSigningKeyPayload extends CreateSigningKeyPayload {}

export const CreateSigningKeyResult = resultOf(CreateSigningKeyPayload);
export const ConfirmSigningKeyResult = resultOf(ConfirmSigningKeyPayload);
export const RevokeSigningKeyResult = resultOf(RevokeSigningKeyPayload);
