import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runChild } from '../../src/platform/child.js';
import { isAlive } from '../support/process.js';
import type { Task } from './child-program.js';

const program = new URL('./child-program.js', import.meta.url);
const run = <Result>(input: Task, more: Partial<Parameters<typeof runChild<Result, { round: number }>>[0]> = {}) =>
  runChild<Result, { round: number }>({
    program,
    input,
    memoryLimitMb: 256,
    signal: new AbortController().signal,
    ...more,
  });

const until = async (what: () => boolean, timeoutMs = 5000) => {
  for (const start = Date.now(); !what(); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() - start > timeoutMs) throw new Error('It did not happen.');
};

describe('a child process', () => {
  it('takes typed arrays and gives typed arrays', async () => {
    expect(await run<Float64Array>({ do: 'double', values: Float64Array.of(1, 2.5, NaN) })).toEqual(
      Float64Array.of(2, 5, NaN),
    );
  });

  it('gets nothing of the environment but a few plain names', async () => {
    process.env.CONCORDAT_MASTER_KEY_FOR_TEST = 'secret';
    const { names, cwd } = await run<{ names: string[]; cwd: string }>({ do: 'environment' });
    const ours = ['LANG', 'MALLOC_ARENA_MAX', 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'PATH', 'TZ'];
    const shell = ['PWD', 'OLDPWD', 'SHLVL', '_'];
    const node = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE'];
    expect(names.filter((name) => ![...ours, ...shell, ...node].includes(name))).toEqual([]);
    expect(cwd).toBe('/');
  });

  it('reports progress in order', async () => {
    const seen: number[] = [];
    await run({ do: 'progress', rounds: 5 }, { onProgress: ({ round }) => seen.push(round) });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it.each(['sleep', 'loop'] as const)('is gone within a second after an abort (%s)', async (task) => {
    const abort = new AbortController();
    let pid = 0;
    let abortedAt = 0;
    const onProgress = () =>
      void setTimeout(() => {
        abortedAt = Date.now();
        abort.abort(new Error('cancelled by test'));
      }, 300);
    const running = run({ do: task }, { signal: abort.signal, onProgress, onStart: (started) => (pid = started) });
    await expect(running).rejects.toThrow('cancelled by test');
    expect(Date.now() - abortedAt).toBeLessThan(1000);
    expect(isAlive(pid)).toBe(false);
  });

  it('passes on an error meant for people, and keeps the text of any other', async () => {
    await expect(run({ do: 'refuse' })).rejects.toMatchObject({
      name: 'AppError',
      code: 'INVALID_INPUT',
      field: 'input.target',
    });
    const error = await run({ do: 'throw' }).catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ name: 'ChildError', childName: 'Error' });
    expect(`${(error as Error).message}${(error as Error).stack}`).not.toContain('Jane');
  });

  it.each(['heap', 'buffers'] as const)('says that the memory was not enough (%s)', async (task) => {
    await expect(run({ do: task })).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  });

  it('says that it was killed', async () => {
    await expect(run({ do: 'die' })).rejects.toThrow(/SIGKILL/);
  });

  it('dies with its parent, even in the midst of a loop', async () => {
    const script = `
      const { runChild } = await import(${JSON.stringify(new URL('../../src/platform/child.ts', import.meta.url).href)});
      await runChild({ program: new URL(${JSON.stringify(program.href)}), input: { do: 'loop' }, memoryLimitMb: 256,
        signal: new AbortController().signal, onStart: (pid) => { started = pid; }, onProgress: () => process.stdout.write(String(started)) });
      var started;
    `;
    const tsx = createRequire(import.meta.url).resolve('tsx');
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    const parent = spawn(process.execPath, ['--import', tsx, '--input-type=module', '-e', script], {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (text: Buffer) => resolve(Number(text.toString()))),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until(() => !isAlive(pid));
  });
});
