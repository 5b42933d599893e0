import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, freePort, launch, processesOf, removeHome, temporaryHome } from './launcher.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const NAMELESS = 61_502;

let home: string;
let port: string;

beforeEach(async () => {
  home = temporaryHome();
  port = String(await freePort());
});
afterEach(async () => {
  await eventually(() => expect(processesOf(home)).toEqual([]));
  removeHome(home);
});

/** Expects the launcher to end at once, saying one thing to do and nothing else. */
async function refusal(env: NodeJS.ProcessEnv, uid?: number): Promise<{ code: number | null; said: string }> {
  const launcher = launch({ CONCORDAT_HOME: home, PORT: port, ...env }, uid);
  const code = await launcher.exited;
  const said = launcher.output().trim();
  expect(said).not.toMatch(/^\s+at /m);
  expect(said).not.toContain('is ready');
  return { code, said };
}

describe('a start that cannot go on says why and what to do:', () => {
  it('the port is in use', async () => {
    const other = createServer().listen(Number(port), '127.0.0.1');
    const { code, said } = await refusal({});
    other.close();
    expect(said).toBe(
      `Port ${port} is in use by another program. Stop it, or choose another: PORT=${Number(port) + 1} npm start`,
    );
    expect(code).toBe(1);
  });

  it('PORT or HOST is nonsense', async () => {
    expect(await refusal({ PORT: 'http' })).toEqual({
      code: 78,
      said: 'PORT=http is not a port. It must be a whole number from 0 to 65535.',
    });
    expect((await refusal({ HOST: '203.0.113.7' })).said).toMatch(
      /^HOST=203.0.113.7 is not an address of this machine/,
    );
  });

  it('the data are of a newer version', async () => {
    writeFileSync(join(home, 'VERSION'), '999\n');
    const { code, said } = await refusal({});
    expect(said).toMatch(
      /^The data in .* was written by a newer version of Concordat \(format 999; .*Update Concordat/,
    );
    expect(code).toBe(1);
    expect(existsSync(join(home, 'pg'))).toBe(false);
  });

  it('home is a file', async () => {
    const file = join(home, 'file');
    writeFileSync(file, '');
    expect((await refusal({ CONCORDAT_HOME: file })).said).toMatch(/is in the way: it is not a directory/);
  });

  it.runIf(isRoot)('home cannot be written', async () => {
    chmodSync(home, 0o755);
    const { code, said } = await refusal({}, NOBODY);
    expect(said).toBe(
      `The directory ${home} cannot be written by this user. Make it writable, or set CONCORDAT_HOME to a directory that is.`,
    );
    expect(code).toBe(1);
  });

  it.runIf(isRoot)('the disk is full', async (context) => {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'none', home]).status !== 0) context.skip();
    try {
      const { code, said } = await refusal({});
      expect(said).toMatch(/^There is not enough free space on the disk that holds .* Free at least 200 MB/);
      expect(code).toBe(1);
    } finally {
      spawnSync('umount', [home]);
    }
  });

  it('a variable is wrong, before there is a database', async () => {
    const { code, said } = await refusal({ FIXTURE: 'bad-variables' });
    expect(said).toBe('The configuration is not usable: LOG_LEVEL.');
    expect(code).toBe(78);
    expect(existsSync(join(home, 'pg'))).toBe(false);
  });

  it('the configuration is refused by the migration', async () => {
    const { code, said } = await refusal({ FIXTURE: 'bad-configuration' });
    expect(said).toBe('The configuration is not usable: everything.');
    expect(code).toBe(78);
  });

  it('the API dies again and again', async () => {
    const { code, said } = await refusal({ FIXTURE: 'crashing-api' });
    expect(said).toMatch(/^The API cannot start; its last words were:\nI cannot live like this/);
    expect(said).toContain(join(home, 'logs', 'api.log'));
    expect(code).toBe(1);
  });

  it('it runs already', async () => {
    const first = launch({ CONCORDAT_HOME: home, PORT: port });
    await eventually(() => expect(first.output()).toContain('is ready'));
    const { code, said } = await refusal({});
    first.child.kill('SIGTERM');
    await first.exited;
    expect(said).toMatch(
      `Concordat is already running on ${home} at http://localhost:${port} (process ${first.child.pid})`,
    );
    expect(code).toBe(1);
  });

  it('there is no such verb', () => {
    const { status, stderr } = spawnSync(process.execPath, ['src/launch/main.mjs', 'strat'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/There is no “strat”\. There are: start, /);
    expect(status).toBe(64);
  });
});

describe.runIf(isRoot)('it runs as', () => {
  async function runsAndStops(uid: number): Promise<void> {
    const launcher = launch({ CONCORDAT_HOME: home, PORT: port }, uid);
    await eventually(() => expect(launcher.output()).toContain('is ready'));
    await launcher.ask();
    launcher.child.kill('SIGTERM');
    expect(await launcher.exited).toBe(0);
  }

  it('an ordinary user', async () => {
    chownSync(home, NOBODY, NOBODY);
    await runsAndStops(NOBODY);
  });

  it('a user without an entry in /etc/passwd', async (context) => {
    if (spawnSync('unshare', ['--user', 'true'], { uid: NOBODY, cwd: '/' }).status !== 0) context.skip();
    chownSync(home, NAMELESS, NAMELESS);
    await runsAndStops(NAMELESS);
  });

  it('root in a directory that nobody else may enter, with the database elsewhere and one sentence about it', async () => {
    const outer = home;
    home = join(outer, 'below', 'home');
    mkdirSync(join(outer, 'below'), { mode: 0o700 });
    try {
      const launcher = launch({ CONCORDAT_HOME: home, PORT: port });
      await eventually(() => expect(launcher.output()).toContain('is ready'));
      const before = await launcher.ask();
      const place = readFileSync(join(home, 'pg.location'), 'utf8').trim();
      expect(launcher.output()).toContain(`the database is kept in ${place} instead.`);
      launcher.child.kill('SIGTERM');
      expect(await launcher.exited).toBe(0);
      const again = launch({ CONCORDAT_HOME: home, PORT: port });
      await eventually(() => expect(again.output()).toContain('is ready'));
      expect((await again.ask()).kept).toBeGreaterThan(before.kept);
      expect(again.output()).not.toContain('instead');
      again.child.kill('SIGTERM');
      expect(await again.exited).toBe(0);
      removeHome(home);
      expect(existsSync(place)).toBe(false);
    } finally {
      rmSync(outer, { recursive: true, force: true });
    }
  });
});
