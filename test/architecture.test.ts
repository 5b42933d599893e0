import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = new URL('..', import.meta.url).pathname.replace(/\/$/, '');
const FOLDERS = ['src', 'workers', 'migrations'];
const CODE = /(?<!\.d)\.(ts|tsx|mts|mjs|js)$/;

interface Cruise {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: {
    readonly violations: readonly { from: string; to: string; rule: { name: string; severity: string } }[];
  };
}

/** Runs the arrows over a project and returns what dependency-cruiser saw and found. */
async function cruise(root: string): Promise<Cruise> {
  const program = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const folders = FOLDERS.filter((folder) => readdirSync(root).includes(folder));
  const args = [program, '--config', '.ci/dependency-cruiser.cjs', '--output-type', 'json', ...folders];
  const run = promisify(execFile)(process.execPath, args, { cwd: root, maxBuffer: 256 * 2 ** 20 });
  // Violations make the exit code not 0; what they are is on stdout all the same.
  const { stdout } = await run.catch((error: { stdout: string; stderr: string }) => {
    if (!error.stdout.startsWith('{')) throw new Error(`dependency-cruiser failed: ${error.stderr}`);
    return error;
  });
  return JSON.parse(stdout) as Cruise;
}

describe('the arrows of the house', () => {
  let ours: Cruise;
  beforeAll(async () => {
    ours = await cruise(ROOT);
  });

  it('are followed', () => {
    expect(ours.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([]);
  });

  it('were looked for in every file', () => {
    const seen = new Set(ours.modules.map(({ source }) => source));
    const walked = FOLDERS.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
    ).filter((path) => CODE.test(path) && !path.startsWith('src/ml/kernels/'));
    expect(walked.length).toBeGreaterThan(20);
    expect(walked.filter((path) => !seen.has(path))).toEqual([]);
  });
});

/** Functions of repos that need not name the tenant, beside those that insert rows, which carry theirs. */
const NAMELESS: Record<string, string> = {
  'tenants/account.repo.ts': 'people belong to no tenant',
  'tenants/attempt.repo.ts': 'people belong to no tenant',
  'agreements/agreement.repo.ts listPartyNames': 'the function in the database looks at the tenant itself',
  'agreements/listing.repo.ts listProviderNames': 'the function in the database looks at the tenant itself',
  'models/model.repo.ts upsertAlias': 'the row carries its tenant, with which the key begins',
};

it('every function of a repo names the tenant of its transaction', () => {
  const domain = join(ROOT, 'src/domain');
  const repos = readdirSync(domain, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.repo.ts'));
  const found = repos.flatMap((path) =>
    readFileSync(join(domain, path), 'utf8')
      .split(/^(?=export (?:async )?function )/m)
      .filter((text) => /^export .*function \w+\(\s*tx: Tx\b/.test(text) && /\btx\s*\.\w/.test(text))
      .map((text) => ({ path, name: /function (\w+)/.exec(text)![1]!, text })),
  );
  expect(found.length).toBeGreaterThan(50);
  const nameless = found.filter(
    ({ name, text }) => !name.startsWith('insert') && !/\b(own|asParty)\(tx|tx\.tenantId/.test(text),
  );
  expect(
    nameless
      .filter(({ path }) => !(path in NAMELESS))
      .map(({ path, name }) => `${path} ${name}`)
      .sort(),
  ).toEqual(Object.keys(NAMELESS).filter((name) => name.includes(' ')));
});

/** Per rule the shortest chain of imports that breaks it: each file imports the next, or a package. */
const PLANTED: Record<string, string[]> = {
  'no-circular': ['src/platform/round.ts', 'src/platform/and-round.ts', 'src/platform/round.ts'],
  'not-to-unresolvable': ['src/platform/lost.ts', 'missing-package'],
  'ml-knows-only-itself': ['src/ml/train.ts', 'src/platform/db.ts'],
  'platform-knows-only-itself': ['src/platform/queue.ts', 'src/config.ts'],
  'domain-not-upwards': ['src/domain/datasets/upload.service.ts', 'src/api/errors.ts'],
  'ml-through-its-doors': ['src/domain/training/training.service.ts', 'src/ml/trees/grow.ts'],
  'api-not-down-to-work': ['src/api/server.ts', 'workers/train.ts'],
  'console-speaks-only-the-schema': ['src/console/page.ts', 'src/domain/tenants/tenant.service.ts'],
  'workers-load-no-edge': ['workers/tune.ts', 'src/api/context.ts'],
  'workers-never-load-graphql': ['workers/ingest.ts', 'src/platform/any.ts', 'type-graphql'],
  'launch-needs-only-node': ['src/launch/start.mjs', 'pg'],
  'verifier-needs-only-node': ['src/cli/monitor.mjs', 'src/platform/ids.ts'],
  'another-domain-through-its-service': ['src/domain/models/model.service.ts', 'src/domain/datasets/dataset.repo.ts'],
  'resolver-sees-services-and-types': ['src/domain/models/model.resolver.ts', 'src/domain/datasets/split.repo.ts'],
  'order-datasets': ['src/domain/datasets/dataset.service.ts', 'src/domain/serving/endpoint.service.ts'],
};

describe('a planted break', () => {
  const project = mkdtempSync(join(realpathSync(tmpdir()), 'concordat-arrows-'));
  let planted: Cruise;

  beforeAll(async () => {
    for (const path of ['.ci/dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) {
      cpSync(join(ROOT, path), join(project, path));
    }
    symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'));
    for (const [file, next] of Object.values(PLANTED).flatMap(steps)) {
      mkdirSync(dirname(join(project, file)), { recursive: true });
      const specifier = next && isFile(next) ? relative(dirname(file), next).replace(/^(?!\.)/, './') : next;
      writeFileSync(
        join(project, file),
        `${specifier ? `import '${specifier.replace(/\.ts$/, '.js')}';\n` : ''}export const x = 1;\n`,
      );
    }
    planted = await cruise(project);
  });
  afterAll(() => rmSync(project, { recursive: true }));

  it.each(Object.entries(PLANTED))('of %s is caught', (name, chain) => {
    const caught = planted.summary.violations.filter(({ rule, from }) => rule.name === name && chain.includes(from));
    expect(caught.map(({ rule }) => rule.severity)).toContain('error');
  });

  it('is planted for every rule', async () => {
    const { forbidden } = (
      (await import(join(ROOT, '.ci/dependency-cruiser.cjs'))) as { default: { forbidden: { name: string }[] } }
    ).default;
    const rules = new Set(forbidden.map(({ name }) => name.replace(/^order-.*/, 'order-datasets')));
    expect([...rules].sort()).toEqual(Object.keys(PLANTED).sort());
  });
});

const isFile = (name: string): boolean => name.includes('/');

/** The files of a chain, each with what it imports. The last of a circle was there before. */
function steps(chain: string[]): [string, string | undefined][] {
  return chain
    .map((name, i): [string, string | undefined] => [name, chain[i + 1]])
    .filter(([name], i) => isFile(name) && chain.indexOf(name) === i);
}
