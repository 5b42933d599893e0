import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Package {
  readonly resolved?: string;
  readonly optionalDependencies?: Record<string, string>;
}
const text = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8');
const { packages } = JSON.parse(text) as { packages: Record<string, Package> };

// `npm ci` refuses a lock that lacks them, and `npm install` drops those that its registry does not offer.
it('locks the packages of every platform, not only of the one that wrote it', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`${path}/node_modules/${name}`] && !packages[`node_modules/${name}`],
    ),
  );
  expect(missing).toEqual([]);
});

it('names no registry, so that any will do', () => {
  expect(Object.values(packages).filter(({ resolved }) => resolved)).toEqual([]);
});
