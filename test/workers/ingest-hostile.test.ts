import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App } from '../../src/app.js';
import { ingestUpload } from '../../src/domain/datasets/ingest.service.js';
import { readParquetFooter } from '../../src/domain/datasets/parquet-footer.js';
import { AppError } from '../../src/platform/errors.js';
import type { Scope } from '../../src/platform/scope.js';
import { runJob, scopeOf, upload } from '../domain/dataset-support.js';
import { type Bench, openBench, repeat } from './ingest-support.js';
import { makeTenant, openPlatform, type Platform } from './support.js';

let platform: Platform;
let app: App;
let scope: Scope;
let bench: Bench;
beforeAll(async () => {
  platform = await openPlatform({ CONCORDAT_CHILD_MEMORY_MB: '512' });
  app = platform.app;
  scope = scopeOf((await makeTenant(app)).tenantId);
  bench = openBench();
});
afterAll(async () => {
  bench.close();
  await platform.close();
});

async function ingest(bytes: Buffer | string) {
  const { version } = await app.datasets.create(scope, { name: 'x', uploadId: await upload(app, scope, bytes) });
  const job = await runJob(app, scope, version.jobId);
  return { job, version: (await app.datasets.findVersion(scope, version.id))! };
}

/** A Parquet footer (Thrift, compact) of a schema nested `depth` deep. */
function nestedFooter(depth: number): Buffer {
  const name = (text: string) => Buffer.from([0x48, text.length, ...Buffer.from(text)]);
  const group = (field: string) => Buffer.concat([name(field), Buffer.of(0x15, 0x02, 0x00)]);
  const leaf = Buffer.concat([Buffer.of(0x15, 0x02, 0x25, 0x00, 0x18, 0x01, 0x61), Buffer.of(0x00)]);
  const count = depth + 1;
  const varint = [(count & 127) | 128, ((count >> 7) & 127) | 128, count >> 14];
  return Buffer.concat([
    Buffer.of(0x15, 0x02, 0x19, 0xfc, ...varint),
    ...Array.from({ length: depth }, () => group('g')),
    leaf,
    Buffer.of(0x16, 0x02, 0x19, 0x0c, 0x00),
  ]);
}

describe('a hostile file', () => {
  it('that needs more memory than there is fails alone, with a clear code', async () => {
    const wide = await ingest(
      await bench.parquet(
        `select uuid()::varchar || uuid()::varchar as a, uuid()::varchar || uuid()::varchar as b from range(1500000)`,
      ),
    );
    expect(wide.job).toMatchObject({ state: 'FAILED', errorCode: 'DATA_TOO_LARGE' });
    expect(wide.version).toMatchObject({ state: 'REFUSED', errorCode: 'DATA_TOO_LARGE' });
    const small = await ingest('a,b\n' + repeat('1,x', 9));
    expect(small.job.state).toBe('SUCCEEDED');
  }, 180_000);

  it('of a thousand repeated megabytes is read, and tells nothing of them', async () => {
    const { job, version } = await ingest(
      await bench.parquet(`select repeat('x', 1000000) as s, i % 2 as n from range(1000) t(i)`),
    );
    if (job.state === 'SUCCEEDED') expect(JSON.stringify(version).length).toBeLessThan(5000);
    else expect(job.errorCode).toBe('DATA_TOO_LARGE');
  }, 180_000);

  it('with a Parquet schema nested 20,000 deep never meets DuckDB', async () => {
    const footer = nestedFooter(20_000);
    let thrown: unknown;
    try {
      readParquetFooter(footer);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AppError);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(footer.length);
    const file = Buffer.concat([Buffer.from('PAR1'), footer, size, Buffer.from('PAR1')]);
    expect(['NESTED_DATA', 'TOO_MANY_COLUMNS']).toContain((await bench.refusal(file)).code);
    expect((await bench.refusal(await bench.parquet(`select {'a': {'b': {'c': 1}}} as s`))).code).toBe('NESTED_DATA');
  });

  it('of random changes to a Parquet file is read or refused, never a crash of the platform', async () => {
    const good = await bench.parquet(`select i, i::varchar as s, i * 1.5 as d from range(2000) t(i)`);
    let state = 7;
    const next = (n: number) => (state = (state * 1103515245 + 12345) % 2 ** 31) % n;
    const codes = new Set<string>();
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(good);
      for (let k = 0; k < 4; k++) bytes[round % 2 ? bytes.length - 1 - next(600) : next(bytes.length)]! ^= 1 << next(8);
      const { upload: sealed, table } = await bench.seal(bytes);
      try {
        await ingestUpload({ upload: sealed, table, memoryLimitMb: 512 }, () => undefined);
        codes.add('read');
      } catch (error) {
        expect(error, `round ${round}`).toBeInstanceOf(AppError);
        codes.add((error as AppError).code);
      }
    }
    expect(codes.size).toBeGreaterThan(1);
  });
});
