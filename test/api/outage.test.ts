import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { QueryFailedError } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shownError } from '../../src/api/errors.js';
import { unreadiness } from '../../src/api/health.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';

const failing = (code: string) => Object.assign(new Error('row 4711 of Alice'), { code });

describe('what is no mistake of ours is UNAVAILABLE, with a sentence:', () => {
  it.each(['ENOSPC', 'EDQUOT', '53100'])('a full disk (%s)', (code) => {
    expect(shownError(failing(code))).toMatchObject({ code: 'UNAVAILABLE', status: 503, retryAfterMs: null });
    expect(shownError(failing(code)).message).toBe('The disk is full: nothing can be stored now.');
  });

  it.each(['53200', '53300', '57P01', '57P03', '08006', 'ECONNREFUSED'])('a database that is away (%s)', (code) => {
    expect(shownError(new QueryFailedError('select 1', [], failing(code)))).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'The database does not take this now.',
      retryAfterMs: 1000,
    });
  });

  it.each(['Connection terminated unexpectedly', 'Client has encountered a connection error and is not queryable'])(
    'a connection that ended (%s)',
    (message) => {
      expect(shownError(new Error(message)).code).toBe('UNAVAILABLE');
    },
  );

  it('a socket that is not there', () => {
    expect(shownError(Object.assign(failing('ENOENT'), { syscall: 'connect' })).code).toBe('UNAVAILABLE');
  });

  it.each(['23505', '22021', 'EACCES', 'ENOENT', '57014'])('but not %s', (code) => {
    expect(shownError(failing(code)).code).toBe('INTERNAL');
  });
});

describe('a disk', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let isMounted = false;
  beforeAll(async () => {
    api = await startTestApi();
    tenant = await api.tenant();
    const blobs = join(api.app.config.home, 'blobs');
    mkdirSync(blobs, { recursive: true });
    isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', blobs]).status === 0;
  });
  afterAll(() => {
    if (isMounted) spawnSync('umount', [join(api.app.config.home, 'blobs')]);
  });

  it('that is nearly full makes it unready, and says so', async () => {
    expect(await unreadiness(api.app)).toBeNull();
    expect(await unreadiness(api.app, Number.MAX_SAFE_INTEGER)).toBe('no space on the disk');
  });

  it('that is full refuses an upload as UNAVAILABLE, which can be sent again afterwards', async (context) => {
    if (!isMounted) context.skip();
    const bytes = randomBytes(3 * 2 ** 20);
    const announced = { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    const { url } = await tenant.owner.mutate<{ url: string }>('createUpload', announced, 'url');
    const { pathname, search } = new URL(url);
    const put = () => fetch(`${api.url}${pathname}${search}`, { method: 'PUT', body: bytes });
    const refused = await put();
    const { errors } = (await refused.json()) as { errors: { extensions: { code: string } }[] };
    expect([refused.status, errors[0]!.extensions.code]).toEqual([503, 'UNAVAILABLE']);
    spawnSync('mount', ['-o', 'remount,size=16m', join(api.app.config.home, 'blobs')]);
    expect((await put()).status).toBe(200);
  });
});
