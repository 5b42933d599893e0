import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError, ENVIRONMENT_VARIABLES, loadConfig } from '../src/config.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'concordat-config-'));
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

const DATABASE_URL = 'postgres://owner@localhost/concordat';

test('names every problem at once', () => {
  const bad = { CONCORDAT_HOME: home, PORT: 'eighty', CONCORDAT_MASTER_KEY: 'short', REDIS_URL: 'http://x' };
  expect(() => loadConfig(bad)).toThrow(ConfigError);
  try {
    loadConfig(bad);
  } catch (error) {
    for (const name of ['DATABASE_URL', 'PORT', 'CONCORDAT_MASTER_KEY', 'REDIS_URL'])
      expect((error as Error).message).toContain(name);
    expect((error as Error).message).not.toContain('short');
  }
});

test('makes the master key once, readable by its owner alone', () => {
  const first = loadConfig({ CONCORDAT_HOME: home, DATABASE_URL });
  const second = loadConfig({ CONCORDAT_HOME: home, DATABASE_URL });
  expect(first.masterKey).toHaveLength(32);
  expect(second.masterKey.equals(first.masterKey)).toBe(true);
  expect(statSync(join(home, 'master.key')).mode & 0o777).toBe(0o600);
});

test('says what to do where the home cannot be written', () => {
  expect(() => loadConfig({ CONCORDAT_HOME: '/proc/nowhere', DATABASE_URL })).toThrow(/CONCORDAT_HOME/);
});

test('a program of its own says so before anything is started', () => {
  const env = { PATH: process.env.PATH, CONCORDAT_HOME: home, DATABASE_URL, LOG_LEVEL: 'loud', CONCORDAT_WORKERS: '0' };
  const check = () =>
    spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/config-check.ts'], { encoding: 'utf8', env });
  const { status, stderr } = check();
  expect(status).toBe(78);
  expect(stderr).toMatch(/^The configuration is not usable:\n {2}LOG_LEVEL: .*\n {2}CONCORDAT_WORKERS: .*\n$/);
  Object.assign(env, { LOG_LEVEL: 'info', CONCORDAT_WORKERS: '1' });
  expect(check().status).toBe(0);
});

test('the documentation lists every variable', () => {
  const page = readFileSync('docs/configuration.md', 'utf8');
  const listed = [...page.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map((match) => match[1]);
  expect(listed.sort()).toEqual([...ENVIRONMENT_VARIABLES].sort());
});
