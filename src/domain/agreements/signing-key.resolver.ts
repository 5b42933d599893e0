import { Arg, Args, Authorized, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import { CurrentAccount, CurrentScope, PageArgs, type RequestContext } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope, SignedIn } from '../../platform/scope.js';
import type { SigningKeyService, SigningKey as SigningKeyView } from './signing-key.service.js';
import {
  ConfirmSigningKeyInput,
  type ConfirmSigningKeyPayload,
  ConfirmSigningKeyResult,
  CreateSigningKeyInput,
  type CreateSigningKeyPayload,
  CreateSigningKeyResult,
  RevokeSigningKeyInput,
  type RevokeSigningKeyPayload,
  RevokeSigningKeyResult,
  SigningKey,
  SigningKeyConnection,
} from './signing-key.types.js';

@Resolver(() => SigningKey)
export class SigningKeyResolver {
  constructor(private readonly keys: SigningKeyService) {}

  @Authorized('agreement:read')
  @Query(() => SigningKeyConnection, {
    description: 'The keys with which the tenant’s signatures are made, newest first; revoked ones too.',
  })
  signingKeys(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<SigningKey>> {
    return this.keys.list(scope, page);
  }

  @Authorized('agreement:sign')
  @Mutation(() => CreateSigningKeyResult, {
    description: 'Makes a public key of the tenant’s own known; it can sign once its holder has signed the challenge.',
  })
  async createSigningKey(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateSigningKeyInput, { description: 'The key.' }) input: CreateSigningKeyInput,
  ): Promise<CreateSigningKeyPayload> {
    const publicKey = Buffer.from(input.publicKeyHex, 'hex');
    return { signingKey: await this.keys.create(scope, { ...input, publicKey }) };
  }

  @Authorized('agreement:sign')
  @Mutation(() => ConfirmSigningKeyResult, { description: 'Proves that the tenant holds the private half of a key.' })
  async confirmSigningKey(
    @CurrentScope() scope: Scope,
    @CurrentAccount() account: SignedIn,
    @Ctx() { address }: RequestContext,
    @Arg('input', () => ConfirmSigningKeyInput, { description: 'The proof.' }) input: ConfirmSigningKeyInput,
  ): Promise<ConfirmSigningKeyPayload> {
    const signature = Buffer.from(input.signatureBase64, 'base64');
    return { signingKey: await this.keys.confirm(scope, { account, address }, { ...input, signature }) };
  }

  @Authorized('agreement:sign')
  @Mutation(() => RevokeSigningKeyResult, {
    description:
      'Ends the use of a key; what it has signed stays signed. In place of the platform’s, the next custodial signature makes a new one.',
  })
  async revokeSigningKey(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RevokeSigningKeyInput, { description: 'Which.' }) { signingKeyId }: RevokeSigningKeyInput,
  ): Promise<RevokeSigningKeyPayload> {
    return { signingKey: await this.keys.revoke(scope, signingKeyId) };
  }

  @FieldResolver(() => String, { description: 'The raw public key (Ed25519, RFC 8032), in hexadecimal.' })
  publicKeyHex(@Root() { publicKey }: SigningKeyView): string {
    return publicKey.toString('hex');
  }

  @FieldResolver(() => String, {
    nullable: true,
    description:
      'Until the key is confirmed: the text over whose UTF-8 bytes its holder makes a signature, within an hour.',
  })
  challenge(@Root() { challenge, confirmedAt }: SigningKeyView): string | null {
    return confirmedAt ? null : challenge;
  }
}
