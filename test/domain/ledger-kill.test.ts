import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { contentOf, PREDICTION_COLUMNS, type PredictionRow } from '../../src/domain/audit/prediction.js';
import type { Scope } from '../../src/platform/scope.js';
import { makeEndpoint, makeTenant, makeWorld, termsFor, type World } from './agreement-support.js';
import { entryOf, type Line, type Order, scopeFor } from './ledger-replica.js';
import { faultOf } from './receipt-check.js';

const KILLS = 24;
const CALLERS = 32;
/** The second agreement is used up on the way. */
const LIMIT = 3000;

let world: World;
let owner: pg.Client;
let home: string;
let order: Omit<Order, 'round'>;
const replicas: ChildProcess[] = [];

beforeAll(async () => {
  world = await makeWorld();
  owner = new pg.Client(world.database.databaseUrl);
  await owner.connect();
  home = mkdtempSync(join(tmpdir(), 'concordat-test-'));
  const [provider, consumer] = [await makeTenant(world.db, 'Provider'), await makeTenant(world.db, 'Consumer')];
  const endpointId = await makeEndpoint(world.db, provider);
  const agree = async (rowsInTotal: number | null, by: Scope) => {
    const terms = termsFor({ rowsPerDay: null, rowsInTotal });
    const { id } = await world.agreements.offer(provider, { endpointId, consumerTenantId: by.tenantId, terms });
    await world.agreements.sign(provider, id);
    await world.agreements.sign(by, id);
    return id;
  };
  order = {
    databaseUrl: world.database.databaseUrl,
    masterKey: world.database.masterKey.toString('hex'),
    home,
    tenantId: consumer.tenantId,
    providerTenantId: provider.tenantId,
    endpointId,
    agreements: [await agree(null, consumer), await agree(LIMIT, consumer)],
    callers: CALLERS,
  };
});
afterAll(async () => {
  for (const replica of replicas) replica.kill('SIGKILL');
  await owner.end();
  await world.close();
  rmSync(home, { recursive: true });
});

/** A process that waits for its order; it costs some seconds to load. */
function spawn(): { replica: ChildProcess; ready: Promise<unknown> } {
  const tsx = createRequire(import.meta.url).resolve('tsx');
  const program = new URL('ledger-replica.ts', import.meta.url).pathname;
  const replica = fork(program, ['work'], { execArgv: ['--import', tsx], stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  replicas.push(replica);
  return { replica, ready: once(replica, 'message') };
}

/** All that reached us before the process was killed, `ms` after its first answer. */
async function loadAndKill(replica: ChildProcess, round: number, ms: number): Promise<Line[]> {
  let text = '';
  replica.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const ended = once(replica.stdout!, 'end');
  const answered = once(replica.stdout!, 'data');
  replica.send({ ...order, round });
  await answered;
  await delay(ms);
  replica.kill('SIGKILL');
  await ended;
  // The last line may have been cut off: then it was not received.
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
}

it(
  `records every answer that left, and nothing else, over ${KILLS} kills under load`,
  { timeout: 180_000 },
  async () => {
    const rounds: Line[][] = [];
    const waiting = [spawn(), spawn(), spawn()];
    // Two at a time, each killed while the other one works.
    const lane = async (first: number) => {
      for (let round = first; round < KILLS; round += 2) {
        const { replica, ready } = waiting.shift()!;
        if (round + 2 < KILLS) waiting.push(spawn());
        await ready;
        rounds[round] = await loadAndKill(replica, round, 40 + ((round * 37) % 120));
      }
    };
    await Promise.all([lane(0), lane(1)]);

    const { rows: keys } = await owner.query<{ origin: string; id: string; public_key: Buffer }>(
      `select origin, id, public_key from log_key`,
    );
    const publicKeys = new Map(keys.map(({ origin, id, public_key }) => [`${origin} ${id}`, public_key]));
    const recorded = async () => {
      const { rows } = await world.db.ledger.query<PredictionRow>(
        `select ${PREDICTION_COLUMNS} from prediction_entry e join prediction_context c on c.id = e.context_id order by e.log_index`,
      );
      return new Map(rows.map((row) => [row.log_index, contentOf(row)]));
    };
    const before = await recorded();
    const lines = rounds.flat();
    expect(lines.length).toBeGreaterThan(KILLS * CALLERS);
    for (const { receipt } of lines) {
      expect(before.get(receipt.entry.index)).toEqual(receipt.entry);
      expect(faultOf(receipt, publicKeys.get(`${receipt.origin} ${receipt.batch.keyId}`)!)).toBeNull();
    }
    // No index was signed twice, and the log never took itself for another.
    expect(new Set(lines.map(({ receipt }) => receipt.entry.index)).size).toBe(lines.length);
    expect(new Set(lines.map(({ receipt }) => receipt.origin)).size).toBe(1);

    // Who got no answer asks again: it is charged once, whether or not it was recorded.
    const ledger = await world.openLedger();
    let repeated = 0;
    for (const [round, answers] of rounds.entries()) {
      const asked = { ...order, round };
      for (let caller = 0; caller < CALLERS; caller++) {
        const next = answers.filter((line) => line.caller === caller).length;
        const posted = await ledger.record(scopeFor(asked), entryOf(asked, caller, next));
        if (posted.isRepetition) repeated++;
      }
    }
    expect(repeated).toBeGreaterThan(0);
    const { rows } = await owner.query<{ total: number; used: number; limit: number | null }>(
      `select m.rows_total as total, m.rows_in_total as limit, (select coalesce(sum(e.row_count), 0)::bigint
       from prediction_entry e join prediction_context c on c.id = e.context_id where c.agreement_id = m.agreement_id and e.code = 0) as used
     from agreement_meter m`,
    );
    for (const { total, used, limit } of rows) {
      expect(total).toBe(used);
      if (limit !== null) expect(used).toBeLessThanOrEqual(limit);
    }
    // Answered entries: one for each request that was answered or asked again, and no other.
    const { rows: sums } = await owner.query<{ answered: number; gaps: number }>(
      `select (select count(*) from prediction_entry where code = 0) as answered,
       (select next_index from audit_log) - (select count(*) from audit_entry) - (select count(*) from prediction_entry) as gaps`,
    );
    const refusedFirst = lines.filter(({ refusal }) => refusal !== null).length;
    expect(sums[0]!.gaps).toBe(0);
    expect(sums[0]!.answered).toBeLessThanOrEqual(lines.length - refusedFirst + KILLS * CALLERS);
    expect(sums[0]!.answered).toBeGreaterThanOrEqual(lines.length - refusedFirst + repeated);
    console.log(
      `${KILLS} kills: ${lines.length} answers received, ${repeated} recorded but unanswered, each charged once`,
    );
  },
);
