import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isWeak, verifySignature } from '../../src/domain/agreements/signing.js';
import type { Scope } from '../../src/platform/scope.js';
import { codeOf, makeEndpoint, makeTenant, makeWorld, termsFor, type World } from './agreement-support.js';

let world: World;
let provider: Scope;
let consumer: Scope;
let stranger: Scope;
let endpointId: string;

beforeAll(async () => {
  world = await makeWorld();
  provider = await makeTenant(world.db, 'Provider');
  consumer = await makeTenant(world.db, 'Consumer');
  stranger = await makeTenant(world.db, 'Stranger');
  endpointId = await makeEndpoint(world.db, provider);
});
afterAll(() => world.close());
afterEach(() => {
  world.clock.offsetMs = 0;
});

const offerTo = ({ tenantId }: Scope) =>
  world.agreements.offer(provider, { endpointId, consumerTenantId: tenantId, terms: termsFor() });
const offer = () => offerTo(consumer);

describe('a key of the tenant’s own', () => {
  const person = {
    account: { accountId: '', sessionId: '', email: '', name: '', operator: false, memberships: [] },
    address: '',
  };
  const bytes = (text: string | null) => Buffer.from(text!, 'utf8');
  interface Pair {
    readonly id: string;
    readonly privateKey: KeyObject;
  }
  const rawOf = (key: KeyObject) => key.export({ format: 'der', type: 'spki' }).subarray(-32);
  async function register(scope: Scope): Promise<Pair> {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const { id, challenge } = await world.signingKeys.create(scope, { name: 'Vault', publicKey: rawOf(publicKey) });
    const signature = sign(null, bytes(challenge), privateKey);
    await world.signingKeys.confirm(scope, person, { signingKeyId: id, signature, password: '' });
    return { id, privateKey };
  }
  const handOf = ({ id, privateKey }: Pair, text: string) =>
    ({ custody: 'OWN', signingKeyId: id, signature: sign(null, bytes(text), privateKey) }) as const;

  it('signs the exact bytes of the document, and the signature says so', async () => {
    const key = await register(provider);
    const { id, document } = await offer();
    const signed = await world.agreements.sign(provider, { agreementId: id }, handOf(key, document));
    expect(signed.signatures).toMatchObject([{ party: 'PROVIDER', custody: 'OWN', version: 1, signingKeyId: key.id }]);
    expect(verifySignature(document, signed.signatures[0]!)).toBe(true);
    expect(await world.agreements.sign(consumer, id)).toMatchObject({ state: 'ACTIVE' });
  });

  it('signs nothing by a forged, swapped or older signature, or with another tenant’s key', async () => {
    const [own, foreign] = [await register(provider), await register(consumer)];
    const [first, second] = [await offer(), await offer()];
    const refused = async (hand: ReturnType<typeof handOf>, version = 1) =>
      codeOf(world.agreements.sign(provider, { agreementId: first.id, version }, hand));
    const good = handOf(own, first.document);
    const flipped = Buffer.from(good.signature);
    flipped[5]! ^= 1;
    expect(await refused({ ...good, signature: flipped })).toBe('INVALID_INPUT');
    expect(await refused({ ...good, signature: Buffer.alloc(0) })).toBe('INVALID_INPUT');
    expect(await refused({ ...good, signature: Buffer.concat([good.signature, Buffer.alloc(1)]) })).toBe(
      'INVALID_INPUT',
    );
    expect(await refused(handOf(own, second.document))).toBe('INVALID_INPUT');
    expect(await refused(handOf(own, `${first.document} `))).toBe('INVALID_INPUT');
    expect(await refused(handOf(foreign, first.document))).toBe('NOT_FOUND');
    expect(await refused({ ...good, signingKeyId: 'nothing' })).toBe('NOT_FOUND');
    // The signature of the offer is none of the counter-offer.
    const countered = await world.agreements.counter(consumer, first.id, termsFor({ rowsPerDay: 3 }));
    expect(await refused(good, 1)).toBe('CONFLICT');
    expect(await refused(good, 2)).toBe('INVALID_INPUT');
    expect(await refused(handOf(own, countered.document), 2)).toBeUndefined();
  });

  it('has to be proven, once, in time', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const made = await world.signingKeys.create(provider, { name: 'Key', publicKey: rawOf(publicKey) });
    const proof = (text: string | null, key = privateKey) =>
      codeOf(
        world.signingKeys.confirm(provider, person, {
          signingKeyId: made.id,
          signature: sign(null, bytes(text), key),
          password: '',
        }),
      );
    const { document, id } = await offer();
    expect(
      await codeOf(world.agreements.sign(provider, { agreementId: id }, handOf({ id: made.id, privateKey }, document))),
    ).toBe('CONFLICT');
    expect(await proof(made.challenge, generateKeyPairSync('ed25519').privateKey)).toBe('INVALID_INPUT');
    expect(await proof(document)).toBe('INVALID_INPUT');
    world.clock.offsetMs = 2 * 3600_000;
    expect(await proof(made.challenge)).toBe('CONFLICT');
    world.clock.offsetMs = 0;
    expect(await proof(made.challenge)).toBeUndefined();
    expect(await proof(made.challenge)).toBe('CONFLICT');
    expect(await codeOf(world.signingKeys.create(provider, { name: 'Again', publicKey: rawOf(publicKey) }))).toBe(
      'CONFLICT',
    );
    expect(await codeOf(world.signingKeys.revoke(consumer, made.id))).toBe('NOT_FOUND');
    expect(await world.signingKeys.find(stranger, made.id)).toBeNull();
  });

  it('can be rotated: a revoked one signs nothing more, what it signed stays', async () => {
    const [old, next] = [await register(provider), await register(provider)];
    const { id, document } = await offer();
    await world.agreements.sign(provider, { agreementId: id }, handOf(old, document));
    await world.signingKeys.revoke(provider, old.id);
    await world.signingKeys.revoke(provider, old.id);
    const again = await offer();
    expect(await codeOf(world.agreements.sign(provider, { agreementId: again.id }, handOf(old, again.document)))).toBe(
      'CONFLICT',
    );
    expect(
      await codeOf(world.agreements.sign(provider, { agreementId: again.id }, handOf(next, again.document))),
    ).toBeUndefined();
    expect(await world.agreements.sign(consumer, id)).toMatchObject({ state: 'ACTIVE' });
  });

  it('of the platform’s keeping is replaced when it is revoked', async () => {
    const sign = async () => world.agreements.sign(stranger, (await offerTo(stranger)).id);
    const kept = (await sign()).signatures[0]!;
    await world.signingKeys.revoke(stranger, kept.signingKeyId!);
    expect((await sign()).signatures[0]!.publicKey).not.toEqual(kept.publicKey);
    expect((await sign()).signatures[0]!.custody).toBe('CUSTODIAL');
  });

  it('of small order is none', async () => {
    const order8 = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa';
    for (const hex of [`${'0'.repeat(63)}0`, `01${'0'.repeat(62)}`, order8]) {
      expect(isWeak(Buffer.from(hex, 'hex'))).toBe(true);
      expect(
        await codeOf(world.signingKeys.create(provider, { name: 'Weak', publicKey: Buffer.from(hex, 'hex') })),
      ).toBe('INVALID_INPUT');
    }
    expect(await codeOf(world.signingKeys.create(provider, { name: 'Short', publicKey: randomBytes(31) }))).toBe(
      'INVALID_INPUT',
    );
  });
});
