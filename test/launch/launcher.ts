import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeHome } from '../../src/launch/postgres-files.mjs';

const SCRIPT = new URL('./fixtures/launcher.mjs', import.meta.url).pathname;

export interface Launcher {
  readonly home: string;
  readonly port: number;
  readonly child: ChildProcess;
  /** Everything printed so far. */
  output(): string;
  /** What the API of the fixtures answers: its process number, and the number of a row that it has just kept. */
  ask(): Promise<{ api: number; kept: number }>;
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;
}

/** Starts the launcher with the fixture processes, as `uid` if this is root. */
export function launch(env: NodeJS.ProcessEnv & { CONCORDAT_HOME: string; PORT: string }, uid?: number): Launcher {
  const clean = Object.entries(process.env).filter(([name]) => !/^(npm_|DATABASE_URL|HOST$)/.test(name));
  const child = spawn(process.execPath, [SCRIPT], {
    env: { ...Object.fromEntries(clean), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid && { uid, gid: uid }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return {
    home: env.CONCORDAT_HOME,
    port: Number(env.PORT),
    child,
    output: () => output,
    ask: async () => {
      const response = await fetch(`http://127.0.0.1:${env.PORT}/`, { signal: AbortSignal.timeout(2_000) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const { api, kept } = (await response.json()) as { api: number; kept: string };
      return { api, kept: Number(kept) };
    },
    exited: new Promise((resolve) => child.once('close', resolve)),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === 'object' && address ? address.port : 0;
}

export function temporaryHome(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), 'concordat-launch-test-'));
}

export { removeHome };

/** Asks again until there is an answer. */
export async function eventually<T>(ask: () => T | Promise<T>, timeoutMs = 50_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** Every living process that has the home in its command line, environment or working directory. */
export function processesOf(home: string): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const traces = [command, readFileSync(`/proc/${pid}/environ`, 'utf8'), readlinkSync(`/proc/${pid}/cwd`)];
        return command && traces.some((trace) => trace.includes(home)) ? [{ pid: Number(pid), command }] : [];
      } catch {
        return []; // gone meanwhile
      }
    });
}
