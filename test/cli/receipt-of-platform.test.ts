import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forgetLineage } from '../domain/agreement-support.js';
import { classifier, registerModel } from '../domain/serving-support.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';

const folder = mkdtempSync(join(tmpdir(), 'concordat-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

let api: TestApi;
let tenant: TestTenant;
let endpointId: string;
beforeAll(async () => {
  api = await startTestApi();
  await forgetLineage(api.database.databaseUrl);
  tenant = await api.tenant();
  const modelVersionId = await registerModel(api.app, tenant.id, classifier());
  const { endpoint } = await tenant.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name: 'Credit', modelVersionId },
    'endpoint { id }',
  );
  endpointId = endpoint.id;
});

const columns = { x: [-1.2345, null, 0.5], city: ['Paris', null, 'Lyon'] };
const file = (name: string, content: unknown) => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const run = (...args: string[]) =>
  new Promise<{ code: number; out: string }>((resolve) => {
    execFile(process.execPath, ['src/cli/concordat.mjs', ...args], { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, out: stdout + stderr }),
    );
  });

it(
  'a receipt of the platform is proved, its digests open, and the public log holds it',
  { timeout: 120_000 },
  async () => {
    const memory = ['--memory', join(folder, 'memory.json')];
    const keys = file('keys.json', await (await fetch(`${api.url}/log/keys`)).text());
    await expect
      .poll(async () => (await run('audit', api.url, '--keys', keys, ...memory)).code, { timeout: 20_000 })
      .toBe(0);
    const asked = await Promise.all(
      [1, 2, 3, 4, 5].map(() =>
        tenant.owner.mutate<{ prediction: { logIndex: number } }>(
          'predict',
          { endpointId, columns },
          'prediction { labels scores values logIndex receipt }',
        ),
      ),
    );
    const request = file('request.json', { columns });
    const { logIndex } = asked.at(-1)!.prediction;
    await expect
      .poll(
        async () =>
          (await api.client.query<{ logCheckpoint: { treeSize: number } }>('{ logCheckpoint { treeSize } }'))
            .logCheckpoint.treeSize,
      )
      .toBeGreaterThan(Math.max(...asked.map(({ prediction }) => prediction.logIndex)));
    const answered = file('answered.json', asked.at(-1));
    const proved = await run(
      'verify',
      answered,
      '--keys',
      keys,
      '--answer',
      answered,
      '--request',
      request,
      '--log',
      api.url,
    );
    expect(proved.out).toContain('The answer is the recorded one.\nThe rows are the recorded ones.\nThe public log of');
    expect(proved.code).toBe(0);
    for (const other of asked) expect((await run('verify', file('one.json', other), '--keys', keys)).code).toBe(0);
    const { logInclusionProof, logCheckpoint } = await api.client.query<{
      logInclusionProof: object;
      logCheckpoint: { note: string };
    }>(`{ logInclusionProof(index: ${logIndex}) { treeSize path } logCheckpoint { note } }`);
    const held = [
      '--checkpoint',
      file('checkpoint', logCheckpoint.note),
      '--proof',
      file('proof.json', { logInclusionProof }),
    ];
    expect(await run('verify', answered, '--keys', keys, ...held)).toMatchObject({ code: 0 });
    const wrong = file('wrong.json', { columns: { ...columns, x: [-1.2345, null, 0.25] } });
    expect((await run('verify', answered, '--keys', keys, '--request', wrong)).code).toBe(1);
    expect((await run('audit', api.url, ...memory)).out).toMatch(/\d+ new, all as signed/);
  },
);
