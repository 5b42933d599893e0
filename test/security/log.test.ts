import { expect, it } from 'vitest';
import { QueryFailedError } from 'typeorm';
import { makeLog } from '../../src/platform/log.js';

it('logs of an error what it is and where, not the values of a query or the row that the database quotes', () => {
  const failed = Object.assign(new Error('new row violates check constraint "x"'), {
    code: '23514',
    detail: 'Failing row contains (private).',
    where: 'unnamed portal parameter $1 = private',
  });
  const lines: string[] = [];
  const log = makeLog('error', 'test', { write: (line) => lines.push(line) });
  const error = new QueryFailedError('insert into x values ($1)', ['private'], failed);
  log.error({ err: new Error('outer', { cause: error }) }, 'a field failed');
  log.error({ err: error }, 'a field failed');
  expect(lines.join('')).not.toContain('private');
  const { err } = JSON.parse(lines[1]!) as { err: Record<string, string> };
  expect(err).toMatchObject({ type: 'QueryFailedError', message: failed.message, code: '23514' });
  expect(err['stack']).toContain('log.test.ts');
});
