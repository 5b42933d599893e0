import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { key, makeReceipts } from './cli/receipts.js';
import { newKey } from './cli/evil-log.js';

const folder = mkdtempSync(join(tmpdir(), 'concordat-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('the recipe of docs/verification.md proves receipts, and refutes others', { timeout: 60_000 }, async () => {
  const page = readFileSync('docs/verification.md', 'utf8');
  const code = /<!-- recipe[^\n]*-->\n\n```js\n([\s\S]*?)^```/m.exec(page)![1]!;
  expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(36);
  const program = join(folder, 'verify.mjs');
  writeFileSync(program, code);
  const run = (receipt: unknown, trusted = key.verifierKey) =>
    new Promise<{ code: number; out: string }>((resolve) => {
      const path = join(folder, 'receipt.json');
      writeFileSync(path, JSON.stringify(receipt));
      execFile(process.execPath, [program, path, trusted], (error, stdout, stderr) =>
        resolve({ code: error ? 1 : 0, out: stdout + stderr }),
      );
    });
  for (const size of [1, 2, 5, 7]) {
    const receipts = makeReceipts(1000, size);
    for (const receipt of receipts)
      expect(await run(receipt)).toMatchObject({ code: 0, out: expect.stringMatching(/^proved/) as string });
  }
  const [, one, two] = makeReceipts(1000, 5);
  for (const forged of [
    { ...one!, entry: { ...one!.entry, rowCount: 1 } },
    { ...one!, entry: two!.entry },
    { ...one!, context: { ...one!.context, purpose: 'OTHER' } },
    { ...one!, batch: { ...one!.batch, path: one!.batch.path.slice(1) } },
    { ...one!, batch: { ...one!.batch, size: 9 } },
    { ...one!, batch: two!.batch },
    { ...one!, origin: 'other.example/log' },
  ])
    expect(await run(forged)).toMatchObject({ code: 1, out: expect.stringContaining('NOT PROVED') as string });
  expect(await run(one, newKey(key.name).verifierKey)).toMatchObject({ code: 1 });
});
