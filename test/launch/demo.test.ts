import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { resetOperator } from '../../src/domain/tenants/account.service.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { startWorkers } from '../../workers/main.js';
import { startTestApi } from '../support/app.js';
import { eventually, processesOf } from './launcher.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const SCRIPT = new URL('./fixtures/launcher.mjs', import.meta.url).pathname;
let temporary: string;

beforeEach(() => {
  temporary = mkdtempSync(join(realpathSync(tmpdir()), 'concordat-demo-test-'));
  chmodSync(temporary, 0o711);
});
afterEach(async () => {
  await eventually(() => expect(processesOf(temporary)).toEqual([]));
  rmSync(temporary, { recursive: true, force: true });
});

function runDemo(...args: string[]) {
  // What the caller's environment says of a Concordat of theirs must not matter.
  const env = { ...process.env, TMPDIR: temporary, DATABASE_URL: 'postgres://nowhere', PORT: 'x', CONCORDAT_HOME: '/' };
  const child = spawn(process.execPath, [SCRIPT, 'demo', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (output.out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output.err += text));
  return { child, output, exited: new Promise<number | null>((resolve) => child.once('close', resolve)) };
}

it('runs against a Concordat of its own, passes arguments and exit code on, and leaves nothing behind', async () => {
  const { output, exited } = runDemo('--json');
  expect(await exited).toBe(7);
  expect(output.err).toBe('');
  expect(JSON.parse(output.out)).toEqual({ ok: true, given: ['operator@localhost.test', 'shown-once', '--json'] });
  expect(readdirSync(temporary)).toEqual([]);
});

it('cleans up after Ctrl-C too', async () => {
  const { child, exited } = runDemo('--forever');
  await eventually(() =>
    expect(processesOf(temporary).some(({ command }) => command.includes('fixtures/demo.mjs --forever'))).toBe(true),
  );
  child.kill('SIGINT');
  expect(await exited).toBe(130);
  expect(readdirSync(temporary)).toEqual([]);
});

/** Of what the demo prints with --json. */
interface Told {
  readonly metrics: object;
  readonly tuning: {
    readonly complete: number;
    readonly leaderboard: readonly { readonly algorithm: string; readonly logLoss: number }[];
    readonly best: { readonly version: number; readonly test: { readonly auc: { readonly value: number } } };
    readonly before: { readonly version: number; readonly figures: readonly object[] };
  };
  readonly evaluation: {
    readonly rows: number;
    readonly averagePrecision: { readonly value: number };
    readonly brier: { readonly value: number };
    readonly groups: readonly { readonly group: string; readonly rows: number }[];
    readonly shap: { readonly columns: readonly { readonly column: string; readonly meanAbsolute: number }[] };
    readonly against: {
      readonly figures: readonly { readonly name: string; readonly difference: { low: number; high: number } }[];
    };
  };
  readonly import: { readonly labels: readonly string[]; readonly expected: readonly string[] };
  readonly refusals: Record<string, number>;
}

/** The story itself, told to an API and workers of the test. */
async function story(): Promise<Told> {
  const api = await startTestApi();
  const workers = startWorkers(api.app, PROCESSORS, ENDINGS);
  try {
    const { email, password } = await resetOperator(api.app.db, 'story@example.com');
    const env = {
      ...process.env,
      CONCORDAT_URL: api.url,
      CONCORDAT_OPERATOR_EMAIL: email,
      CONCORDAT_OPERATOR_PASSWORD: password,
    };
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/demo.ts', '--json'], { env, cwd: ROOT });
    const output = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (output.out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (output.err += text));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(output.err).toBe('');
    expect(code).toBe(0);
    return JSON.parse(output.out) as Told;
  } finally {
    await workers.close();
  }
}

it('tells the whole life of a model, each part really done', { timeout: 400_000 }, async () => {
  const { metrics, tuning, evaluation, import: imported, refusals } = await story();
  expect(Object.keys(metrics)).toHaveLength(4);

  const tried = new Set(tuning.leaderboard.map(({ algorithm }) => algorithm));
  expect(tried).toContain('LINEAR');
  expect(tried).toContain('GRADIENT_BOOSTING');
  expect(['RANDOM_FOREST', 'EXTRA_TREES'].some((name) => tried.has(name))).toBe(true);
  expect(tuning.leaderboard[0]!.logLoss).toBeLessThan(0.5);
  expect(tuning.best.version).toBe(5);
  expect(tuning.best.test.auc.value).toBeGreaterThan(0.8);
  expect(tuning.before.version).toBeLessThan(5);
  expect(tuning.before.figures).toHaveLength(3);

  expect(evaluation.rows).toBe(891);
  expect(evaluation.averagePrecision.value).toBeGreaterThan(0.6);
  expect(evaluation.brier.value).toBeLessThan(0.2);
  expect(evaluation.groups.map(({ group }) => group)).toEqual(['fixed', 'freelance', 'partime', 'others']);
  expect(evaluation.shap.columns).toHaveLength(3);
  for (const { meanAbsolute } of evaluation.shap.columns) expect(meanAbsolute).toBeGreaterThan(0.1);
  const auc = evaluation.against.figures.find(({ name }) => name === 'AUC')!;
  expect(auc.difference.low).toBeLessThan(auc.difference.high);

  expect(imported.labels).toEqual(['Adelie', 'Gentoo', 'Chinstrap']);
  expect(imported.expected).toEqual(imported.labels);
  expect(refusals).toMatchObject({ PURPOSE_NOT_ALLOWED: 1, QUOTA_DAY_EXCEEDED: 2 });
});
