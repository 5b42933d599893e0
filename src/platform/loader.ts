import DataLoader from 'dataloader';
import type { Scope } from './scope.js';

/** What ids stand for, in their order; null where there is nothing. */
export type LoadMany<T> = (scope: Scope, ids: readonly string[]) => Promise<readonly (T | null)[]>;

const loaders = new WeakMap<Scope, Map<LoadMany<unknown>, DataLoader<string, unknown>>>();

/**
 * One of what a whole list asks for: all ids that field resolvers of one scope ask for in a turn are read in one statement.
 * Batches only and remembers nothing, because the scope of a subscription lives long. `loadMany` must be one and the same function each time.
 */
export function loadOne<T>(scope: Scope, loadMany: LoadMany<T>, id: string): Promise<T | null> {
  const ofScope = loaders.get(scope) ?? new Map<LoadMany<unknown>, DataLoader<string, unknown>>();
  loaders.set(scope, ofScope);
  const known = ofScope.get(loadMany) ?? new DataLoader((ids) => loadMany(scope, ids), { cache: false });
  ofScope.set(loadMany, known);
  return known.load(id) as Promise<T | null>;
}
