import { beforeAll, describe, expect, it } from 'vitest';
import { startTestApi, type TestApi } from '../support/app.js';

let api: TestApi;
let token: string;
beforeAll(async () => {
  api = await startTestApi();
  token = (await (await api.tenant()).application()).key;
});

const SIGN_IN = 'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }';
const PREDICT = 'mutation ($input: PredictInput!) { predict(input: $input) { __typename } }';

async function ask(
  query: string,
  input: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const body = JSON.stringify({ query, variables: { input } });
  const response = await fetch(`${api.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, text: await response.text() };
}

describe('variables that do not fit', () => {
  it('are refused at the first fault, however many there are', async () => {
    const wrong = Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`k${i}`, 1]));
    const begun = performance.now();
    const input = { email: 'a@example.com', password: 'secret', ...wrong };
    const { status, text } = await ask(SIGN_IN, input, { authorization: `Bearer ${token}` });
    expect(performance.now() - begun).toBeLessThan(5000);
    expect([status, text.length < 1000]).toEqual([400, true]);
  });

  it('are not even read where they are large and nobody has signed in', async () => {
    const { status, text } = await ask(SIGN_IN, { email: 'a@example.com', password: 'x'.repeat(70_000) });
    expect([status, text.includes('BODY_TOO_LARGE')]).toEqual([413, true]);
  });

  it.each([
    ['a word in place of a column', PREDICT, { endpointId: 'end', columns: { age: 'secret' } }],
    ['a field too many', SIGN_IN, { email: 'a@example.com', password: 'secret', more: 1 }],
    ['a field too few', SIGN_IN, { password: 'secret' }],
    ['another type', SIGN_IN, { email: 'a@example.com', password: { secret: 'secret' } }],
    ['a list', SIGN_IN, ['secret']],
  ])('are not quoted: %s', async (_, query, input) => {
    const { status, text } = await ask(query, input);
    expect(status).toBe(400);
    expect(text).toContain('BAD_USER_INPUT');
    expect(text).toContain('$input');
    expect(text).not.toContain('secret');
  });
});
