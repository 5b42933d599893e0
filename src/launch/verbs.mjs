// @ts-check
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { demo } from './demo.mjs';
import { homePath } from './home.mjs';
import { ensureInstalled } from './install.mjs';
import { runningUrl } from './running.mjs';
import { start } from './start.mjs';
import { codeOf, diskFull, Stop } from './stop.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const bin = (/** @type {string} */ path) => join(ROOT, 'node_modules', path);

/** @type {(text: string) => void} */
const say = (text) => console.error(text);

/** What `npm run check` runs, in the order of what is quickest to be told. */
const CHECKS = {
  format: [
    bin('prettier/bin/prettier.cjs'),
    '--config',
    '.ci/prettier.json',
    '--log-level',
    'warn',
    '--check',
    '.',
    '!schema.graphql',
    // Somebody else's, as it stands.
    '!test/fixtures/open-inference',
  ],
  types: [bin('typescript/bin/tsc'), '-p', 'test/tsconfig.json', '--noEmit'],
  arrows: [
    bin('dependency-cruiser/bin/dependency-cruise.mjs'),
    '--config',
    '.ci/dependency-cruiser.cjs',
    'src',
    'workers',
    'migrations',
  ],
  lint: [bin('eslint/bin/eslint.js'), '-c', '.ci/eslint.config.mjs', '--max-warnings', '0', '.'],
};

/** @type {Record<string, (args: string[]) => Promise<number>>} each returns the exit code */
const VERBS = {
  start: () => start({ root: ROOT, isDev: false }),
  dev: () => start({ root: ROOT, isDev: true }),
  demo: (args) => demo({ root: ROOT, args }),
  build: async () => (await prepare(), 0),
  migrate: async (args) => (await prepare(), node(['dist/src/migrate.js', ...args])),
  test: async (args) => (
    await prepare(),
    node([bin('vitest/vitest.mjs'), 'run', '-c', '.ci/vitest.config.ts', ...args])
  ),
  check: async (args) => (await ensureInstalled(ROOT, say), check(args)),
  bench: async ([name = 'accuracy', ...args]) => (
    await prepare(),
    node(['--import', 'tsx', `bench/${name}.ts`, ...args])
  ),
  'audit-verify': (args) => beside('audit-verify', args),
  operator: (args) => beside('operator', args),
};

/**
 * @param {string[]} args the verb and its own arguments
 * @returns {Promise<number>} the exit code
 */
export async function perform([verb = 'start', ...args]) {
  try {
    const action = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (!action) throw new Stop(`There is no “${verb}”.`, `There are: ${Object.keys(VERBS).join(', ')}.`, 64);
    return await action(args);
  } catch (error) {
    const known = codeOf(error) === 'ENOSPC' ? diskFull(ROOT) : error;
    console.error(known instanceof Stop ? `\n${known.message}` : known);
    return known instanceof Stop ? known.exitCode : 1;
  }
}

/**
 * Runs a command beside the Concordat that runs on the home, or on DATABASE_URL.
 * @param {string} command of src/cli
 * @param {string[]} args
 */
async function beside(command, args) {
  await prepare();
  process.env['DATABASE_URL'] ||= runningUrl(homePath(ROOT));
  return node([`dist/src/cli/${command}.js`, ...args]);
}

async function prepare() {
  await ensureInstalled(ROOT, say);
  await ensureBuilt(ROOT, say);
}

/** @param {string[]} only names of checks; all of them if empty */
async function check(only) {
  const failed = [];
  for (const [name, command] of Object.entries(CHECKS)) {
    if (only.length && !only.includes(name)) continue;
    const status = await node(command);
    say(`${name}: ${status === 0 ? 'good' : 'NOT GOOD'}`);
    if (status !== 0) failed.push(name);
  }
  return failed.length ? 1 : 0;
}

/**
 * Runs in the foreground, in the terminal's own process group: Ctrl-C reaches it as it reaches us.
 * @param {string[]} args
 * @returns {Promise<number>}
 */
async function node(args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  const ignore = () => {};
  process.on('SIGINT', ignore);
  const forward = () => void child.kill('SIGTERM');
  process.on('SIGTERM', forward);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    process.off('SIGINT', ignore);
    process.off('SIGTERM', forward);
  }
}
