import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually, processesOf } from './launcher.js';

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
