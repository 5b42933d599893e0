import { expect, test } from 'vitest';
import { loadOne, type LoadMany } from '../../src/platform/loader.js';
import { makeScope, type Scope } from '../../src/platform/scope.js';

const scopeOf = (tenantId: string): Scope =>
  makeScope({
    tenantId,
    actor: { kind: 'SYSTEM', id: 'test' },
    permissions: new Set(),
    requestId: 'test',
    signal: new AbortController().signal,
  });

test('reads what one scope asks for in a turn at once, in order, and nothing for another scope', async () => {
  const calls: [string, readonly string[]][] = [];
  const loadMany: LoadMany<string> = (scope, ids) => {
    calls.push([scope.tenantId, ids]);
    return Promise.resolve(ids.map((id) => (id === 'none' ? null : `${scope.tenantId} ${id}`)));
  };
  const [a, b] = [scopeOf('a'), scopeOf('b')];
  const asked = [
    loadOne(a, loadMany, '1'),
    loadOne(b, loadMany, '1'),
    loadOne(a, loadMany, 'none'),
    loadOne(a, loadMany, '2'),
  ];
  expect(await Promise.all(asked)).toEqual(['a 1', 'b 1', null, 'a 2']);
  expect(calls).toEqual([
    ['a', ['1', 'none', '2']],
    ['b', ['1']],
  ]);
});

test('remembers nothing: the scope of a subscription lives long', async () => {
  let state = 'RUNNING';
  const loadMany: LoadMany<string> = (_, ids) => Promise.resolve(ids.map(() => state));
  const scope = scopeOf('a');
  expect(await loadOne(scope, loadMany, '1')).toBe('RUNNING');
  state = 'SUCCEEDED';
  expect(await loadOne(scope, loadMany, '1')).toBe('SUCCEEDED');
});
