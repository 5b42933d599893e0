import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { callerAddress } from '../../src/api/context.js';
import { inPlatform } from '../../src/platform/db.js';
import { startTestApi } from '../support/app.js';
import { rawRequest } from '../support/client.js';

const PROXY = '10.0.0.1';
const asked = (forwarded?: string) =>
  ({ headers: { 'x-forwarded-for': forwarded }, socket: { remoteAddress: PROXY } }) as unknown as IncomingMessage;

describe('the address of a caller', () => {
  it.each([
    [0, '203.0.113.9', PROXY],
    [1, '203.0.113.9', '203.0.113.9'],
    [1, '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    [2, '198.51.100.1, 203.0.113.9,10.0.0.2', '203.0.113.9'],
    [1, '2001:db8::7', '2001:db8::7'],
  ])('behind %i proxies, forwarded for %s, is %s', (hops, forwarded, address) => {
    expect(callerAddress(asked(forwarded), hops)).toBe(address);
  });

  it.each([
    [1, undefined],
    [1, ''],
    [2, '203.0.113.9'],
    [1, 'somebody'],
    [1, '203.0.113.9, '],
    [1, '203.0.113.9:4711'],
    [3, ', , '],
  ])('behind %i proxies is the proxy’s where %s tells none', (hops, forwarded) => {
    expect(callerAddress(asked(forwarded), hops)).toBe(PROXY);
  });

  it('is what failed sign-ins are counted by', async () => {
    const api = await startTestApi({ trustedProxies: 1 });
    const query = 'mutation ($i: SignInInput!) { signIn(input: $i) { __typename } }';
    const i = { email: 'nobody@example.com', password: 'something or other' };
    await rawRequest(`${api.url}/graphql`, {
      headers: { 'content-type': 'application/json', 'x-forwarded-for': '198.51.100.1, 203.0.113.9' },
      body: JSON.stringify({ query, variables: { i } }),
    });
    const [entry] = await inPlatform(api.app.db, (tx) =>
      tx.query<{ content: string }[]>(
        `select content from audit_entry where tenant_id = $1 and kind = 'session.refused'`,
        [tx.tenantId],
      ),
    );
    expect(JSON.parse(entry!.content)).toMatchObject({ detail: { address: '203.0.113.9' } });
  });
});
