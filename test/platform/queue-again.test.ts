import { expect, it } from 'vitest';
import { migrate } from '../../src/migrate.js';
import { newId } from '../../src/platform/ids.js';
import { makeLog } from '../../src/platform/log.js';
import { openQueues } from '../../src/platform/queue.js';
import { createTestDatabase } from '../support/database.js';

it('migrates again after the first job, whose queue made a sequence that belongs to the relay', async () => {
  const database = await createTestDatabase();
  const { databaseUrl, masterKey } = database;
  try {
    const queues = openQueues({ databaseUrl, masterKey, redisUrl: null }, makeLog('silent', 'test'));
    const payload = { jobId: newId('job'), tenantId: newId('tenant') };
    await queues.add('data', [{ payload, attempt: 1, priority: 1 }]);
    await queues.close();
    await expect(migrate(databaseUrl, masterKey)).resolves.toEqual({ applied: [] });
  } finally {
    await database.drop();
  }
});
