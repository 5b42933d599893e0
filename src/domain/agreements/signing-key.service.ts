import { randomBytes } from 'node:crypto';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import type { KeyRing } from '../../platform/keys.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope, SignedIn } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import type { AccountService } from '../tenants/account.service.js';
import type { Custody, TenantSigningKeyRow } from './agreement.entity.js';
import * as repo from './signing-key.repo.js';
import { isWeak, publicKeyOf, signText, type Signature, verifySignature } from './signing.js';

/** Whoever asks, in person: what a password is checked against. */
export interface Person {
  readonly account: SignedIn;
  readonly address: string;
}

/** How a member signs: with the key that the platform keeps, on the password; or with one of the tenant's own keys. */
export type Hand =
  | { readonly custody: 'CUSTODIAL'; readonly person: Person; readonly password: string }
  | { readonly custody: 'OWN'; readonly signingKeyId: string; readonly signature: Buffer };

export interface SigningKey {
  readonly id: string;
  readonly name: string;
  readonly custody: Custody;
  readonly publicKey: Buffer;
  readonly challenge: string | null;
  readonly createdAt: Date;
  readonly confirmedAt: Date | null;
  readonly revokedAt: Date | null;
}

export interface SigningKeyServiceParts {
  readonly db: Db;
  readonly clock: Clock;
  readonly keys: KeyRing;
  readonly accounts: Pick<AccountService, 'confirmPassword'>;
}

const MOST_KEYS = 20;
const CHALLENGE_MS = 3600_000;

/** The keys with which a tenant signs: its own, and the one that the platform keeps for it. */
export class SigningKeyService {
  constructor(private readonly parts: SigningKeyServiceParts) {}

  /** Begins to register a public key (raw Ed25519). It can sign once its holder has signed the challenge. */
  async create(scope: Scope, input: { name: string; publicKey: Buffer }): Promise<SigningKey> {
    const name = input.name.normalize('NFC').trim();
    if (name.length < 1 || [...name].length > 100 || /\p{C}/u.test(name))
      throw invalid('name', 'A name has 1 to 100 characters, on one line.');
    if (input.publicKey.length !== 32 || isWeak(input.publicKey))
      throw invalid('publicKeyHex', 'A public key of Ed25519 has 32 bytes, and is none of those of small order.');
    return inTenant(this.parts.db, scope, async (tx) => {
      if (await repo.existsPublicKey(tx, input.publicKey))
        throw new AppError('CONFLICT', 'This key is registered already.', { field: 'input.publicKeyHex' });
      if ((await repo.countOwnKeys(tx)) >= MOST_KEYS)
        throw new AppError('LIMIT_REACHED', `A tenant has at most ${MOST_KEYS} keys of its own.`, {
          remedy: 'Revoke one that is no longer used.',
        });
      const id = newId('signingKey');
      const now = this.parts.clock.now();
      const nonce = randomBytes(32).toString('base64url');
      const row: TenantSigningKeyRow = {
        id,
        name,
        tenantId: scope.tenantId,
        custody: 'OWN',
        publicKey: input.publicKey,
        sealedPrivateKey: null,
        challenge: `concordat signing key\n${scope.tenantId}\n${id}\n${input.publicKey.toString('hex')}\n${nonce}\n`,
        createdAt: now,
        confirmedAt: null,
        revokedAt: null,
      };
      await repo.insertSigningKey(tx, row);
      return row;
    });
  }

  /** The proof of possession: a signature over the challenge. And the password, because the key will speak for the tenant. */
  async confirm(
    scope: Scope,
    person: Person,
    input: { signingKeyId: string; signature: Buffer; password: string },
  ): Promise<SigningKey> {
    await this.parts.accounts.confirmPassword(person.account, person.address, input.password);
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await lock(tx, input.signingKeyId);
      const now = this.parts.clock.now();
      if (row.challenge === null || row.confirmedAt || row.revokedAt)
        throw new AppError('CONFLICT', 'This key does not wait for a proof.');
      if (now.getTime() > row.createdAt.getTime() + CHALLENGE_MS)
        throw new AppError('CONFLICT', 'The challenge is older than an hour.', { remedy: 'Create the key again.' });
      if (!verifySignature(row.challenge, { publicKey: row.publicKey, signature: input.signature }))
        throw invalid('signatureBase64', 'This is no signature of that key over the challenge.');
      if (await repo.existsPublicKey(tx, row.publicKey))
        throw new AppError('CONFLICT', 'This key is registered already.', { field: 'input.signingKeyId' });
      await repo.markSigningKey(tx, row.id, { confirmedAt: now });
      const detail = { publicKey: row.publicKey.toString('hex'), name: row.name };
      await appendAudit(tx, scope, { kind: 'signing-key.registered', subjectId: row.id, detail, at: now });
      return { ...row, confirmedAt: now };
    });
  }

  /** It signs nothing more; what it has signed stays signed. Of the key that the platform keeps, the next signature makes another. */
  revoke(scope: Scope, id: string): Promise<SigningKey> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await lock(tx, id);
      if (row.revokedAt) return row;
      const now = this.parts.clock.now();
      await repo.markSigningKey(tx, id, { revokedAt: now });
      const detail = { publicKey: row.publicKey.toString('hex') };
      await appendAudit(tx, scope, { kind: 'signing-key.revoked', subjectId: id, detail, at: now });
      return { ...row, revokedAt: now };
    });
  }

  find(scope: Scope, id: string): Promise<SigningKey | null> {
    if (kindOf(id) !== 'signingKey') return Promise.resolve(null);
    return inTenant(this.parts.db, scope, (tx) => repo.findSigningKey(tx, id));
  }

  list(scope: Scope, page: PageRequest): Promise<Page<SigningKey>> {
    return inTenant(this.parts.db, scope, (tx) =>
      readPage(
        page,
        (row) => row.id,
        (before, limit) => repo.listSigningKeys(tx, before, limit),
      ),
    );
  }

  /** Before a transaction begins: the password of a custodial signature. BAD_CREDENTIALS if it is wrong; counted like a sign-in. */
  async admit(hand: Hand): Promise<void> {
    if (hand.custody === 'CUSTODIAL')
      await this.parts.accounts.confirmPassword(hand.person.account, hand.person.address, hand.password);
  }

  /** The signature of the scope's tenant over the text, checked or made. */
  async sign(tx: Tx, scope: Scope, { text, hand }: { text: string; hand: Hand }): Promise<Signature & { id: string }> {
    if (hand.custody === 'CUSTODIAL') {
      const held = await this.kept(tx, scope);
      const seed = await this.parts.keys.openBlobKey(tx, scope, held.id, held.sealedPrivateKey!);
      return { id: held.id, ...signText(text, seed) };
    }
    const row = await lock(tx, hand.signingKeyId);
    if (row.custody !== 'OWN' || !row.confirmedAt || row.revokedAt)
      throw new AppError('CONFLICT', 'This key cannot sign: it is not confirmed, or it is revoked.', {
        field: 'input.signingKeyId',
        remedy: 'Sign with a key that is registered and not revoked.',
      });
    const made = { publicKey: row.publicKey, signature: hand.signature };
    if (!verifySignature(text, made))
      throw invalid('signatureBase64', 'This is no signature of that key over the bytes of the document.');
    return { id: row.id, ...made };
  }

  /** The key that the platform keeps, made on first use; worth as much as the platform's word. */
  private async kept(tx: Tx, scope: Scope): Promise<TenantSigningKeyRow> {
    const held = await repo.findKeptKey(tx);
    if (held) return held;
    const id = newId('signingKey');
    const { key, wrappedKey } = await this.parts.keys.makeBlobKey(tx, scope, id);
    const now = this.parts.clock.now();
    await repo.insertSigningKey(tx, {
      id,
      tenantId: scope.tenantId,
      name: 'Kept by the platform',
      custody: 'CUSTODIAL',
      publicKey: publicKeyOf(key),
      sealedPrivateKey: wrappedKey,
      challenge: null,
      createdAt: now,
      confirmedAt: now,
      revokedAt: null,
    });
    // Two first signatures at once make one key: whoever comes second reads the first one's.
    return (await repo.findKeptKey(tx))!;
  }
}

async function lock(tx: Tx, id: string): Promise<TenantSigningKeyRow> {
  const row = kindOf(id) === 'signingKey' ? await repo.findSigningKeyForUpdate(tx, id) : null;
  if (!row) throw notFound('signing key');
  return row;
}

function invalid(field: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.${field}` });
}
