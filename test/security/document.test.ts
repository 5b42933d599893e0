import { parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { limitRule } from '../../src/api/limits.js';
import { makeSchema } from '../../src/api/schema.js';

const schema = makeSchema(null);
const messages = (query: string) => validate(schema, parse(query), [limitRule]).map((error) => error.message);

describe('documents that are sent in order to hurt', () => {
  it('measures fragments that double three hundred times at once', () => {
    const levels = 300;
    const doubling = Array.from({ length: levels }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`);
    const begun = performance.now();
    const query = `{ ...f0 } ${doubling.join(' ')} fragment f${levels} on Query { viewer { tenantId } }`;
    expect(messages(query)).toEqual([expect.stringMatching(/^This could answer .* values/)]);
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it('counts every root field of a fragment, but the fragment once, as execution does', () => {
    const twice = 'a: signIn(input: $i) { __typename } b: signIn(input: $i) { __typename }';
    const once = 'signIn(input: $i) { __typename }';
    const operation = (fields: string) =>
      `mutation ($i: SignInInput!) { ...f ...f } fragment f on Mutation { ${fields} }`;
    expect(messages(operation(twice))).toEqual(['An operation has one signIn at most.']);
    expect(messages(operation(once))).toEqual([]);
  });
});
