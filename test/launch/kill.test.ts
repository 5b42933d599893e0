import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, freePort, launch, type Launcher, processesOf, removeHome, temporaryHome } from './launcher.js';

/** The numbers of those processes of a launcher that a test may want to kill. */
const VICTIMS: Record<string, (launcher: Launcher) => number[]> = {
  'the API': (launcher) => matching(launcher, /fixtures\/api/),
  'the workers': (launcher) => matching(launcher, /fixtures\/workers/),
  'the postmaster': (launcher) => [
    Number(readFileSync(join(launcher.home, 'pg', 'postmaster.pid'), 'utf8').split('\n')[0]),
  ],
  'a backend': (launcher) => matching(launcher, /^postgres: concordat/),
  'the shells around PostgreSQL': (launcher) => matching(launcher, /^\/bin\/sh/),
  'the cat that holds the pipe': (launcher) => matching(launcher, /^cat/),
};

function matching(launcher: Launcher, pattern: RegExp): number[] {
  const found = processesOf(launcher.home).filter(({ command }) => pattern.test(command));
  if (found.length === 0) throw new Error(`nothing matches ${pattern}`);
  return found.map(({ pid }) => pid);
}

const nothingIsLeft = (home: string) => eventually(() => expect(processesOf(home)).toEqual([]));

describe('kill -9', { timeout: 120_000 }, () => {
  let home: string;
  let port: string;
  let launcher: Launcher;

  beforeEach(async () => {
    home = temporaryHome();
    port = String(await freePort());
    launcher = launch({ CONCORDAT_HOME: home, PORT: port });
    await eventually(() => expect(launcher.output()).toContain('is ready'));
  });

  afterEach(async () => {
    launcher.child.kill('SIGKILL');
    await nothingIsLeft(home);
    removeHome(home);
  });

  it.each(Object.entries(VICTIMS))('of %s is mended within seconds, on the same data', async (_, find) => {
    const before = await launcher.ask();
    const workers = readFileSync(join(home, 'workers.pid'), 'utf8');
    const victims = find(launcher);
    for (const pid of victims) process.kill(pid, 'SIGKILL');
    await eventually(() => expect(processesOf(home).map(({ pid }) => pid)).not.toContain(victims[0]));
    const after = await eventually(async () => {
      // Identity columns skip cached values after a crash, so “the same data” is “later than before”.
      const answer = await launcher.ask();
      expect(matching(launcher, /fixtures\/workers/)).toHaveLength(1);
      expect(matching(launcher, /^postgres: checkpointer/)).toHaveLength(1);
      return answer;
    });
    expect(after.kept).toBeGreaterThan(before.kept);
    if (victims.includes(before.api)) expect(after.api).not.toBe(before.api);
    if (victims.includes(Number(workers))) {
      await eventually(() => expect(readFileSync(join(home, 'workers.pid'), 'utf8')).not.toBe(workers));
    }
    launcher.child.kill('SIGINT');
    expect(await launcher.exited).toBe(0);
    await nothingIsLeft(home);
  });

  it('of the launcher leaves nothing running or locked', async () => {
    const before = await launcher.ask();
    launcher.child.kill('SIGKILL');
    await nothingIsLeft(home);
    const again = launch({ CONCORDAT_HOME: home, PORT: port });
    await eventually(() => expect(again.output()).toContain('is ready'));
    expect((await again.ask()).kept).toBeGreaterThan(before.kept);
    expect(again.output()).not.toContain('shown-once');
    again.child.kill('SIGTERM');
    expect(await again.exited).toBe(0);
    await nothingIsLeft(home);
  });

  it('of everything that watches, then of the launcher, is made good by the next start', async () => {
    for (const pid of matching(launcher, /^(\/bin\/sh|cat)/)) process.kill(pid, 'SIGSTOP');
    for (const pid of matching(launcher, /^(\/bin\/sh|cat)/)) process.kill(pid, 'SIGKILL');
    launcher.child.kill('SIGKILL');
    await launcher.exited;
    const again = await eventually(async () => {
      const next = launch({ CONCORDAT_HOME: home, PORT: port });
      await eventually(() => expect(next.output()).toMatch(/is ready|already/));
      expect(next.output()).toContain('is ready');
      return next;
    });
    await again.ask();
    again.child.kill('SIGTERM');
    expect(await again.exited).toBe(0);
    await nothingIsLeft(home);
  });
});

describe('Ctrl-C', { timeout: 120_000 }, () => {
  it('stops everything in order, exits with 0 and shows the credentials only once', async () => {
    const home = temporaryHome();
    const port = String(await freePort());
    for (const isFirst of [true, false]) {
      const started = Date.now();
      const launcher = launch({ CONCORDAT_HOME: home, PORT: port });
      await eventually(() => expect(launcher.output()).toContain('is ready'));
      if (!isFirst) expect(Date.now() - started).toBeLessThan(5_000);
      expect(launcher.output().includes('shown-once')).toBe(isFirst);
      launcher.child.kill('SIGINT');
      launcher.child.kill('SIGINT');
      expect(await launcher.exited).toBe(0);
      expect(launcher.output()).toContain('Stopped.');
      await nothingIsLeft(home);
    }
    removeHome(home);
  });

  it('during the start stops that too', async () => {
    const home = temporaryHome();
    const launcher = launch({ CONCORDAT_HOME: home, PORT: String(await freePort()) });
    await eventually(() => expect(processesOf(home).some(({ command }) => command.includes('initdb'))).toBe(true));
    launcher.child.kill('SIGINT');
    expect(await launcher.exited).toBe(0);
    await nothingIsLeft(home);
    removeHome(home);
  });
});
