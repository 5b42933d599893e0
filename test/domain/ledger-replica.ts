import { createHash } from 'node:crypto';
import pg from 'pg';
import { LogKeys } from '../../src/domain/audit/log-key.service.js';
import { type Entry, LedgerService, predictionIdOf, receiptOf } from '../../src/domain/metering/ledger.service.js';
import type { Receipt } from '../../src/domain/metering/receipt.js';
import { systemClock } from '../../src/platform/clock.js';
import { roleUrl } from '../../src/platform/db.js';
import { makeLog } from '../../src/platform/log.js';
import { RecentEntries } from '../../src/domain/audit/recent-entries.js';
import type { Scope } from '../../src/platform/scope.js';

/** What a replica is told to do until it is killed. */
export interface Order {
  readonly databaseUrl: string;
  /** Hexadecimal. */
  readonly masterKey: string;
  readonly home: string;
  readonly tenantId: string;
  readonly providerTenantId: string;
  readonly endpointId: string;
  /** Caller c asks under the one at c modulo their number. */
  readonly agreements: readonly string[];
  readonly callers: number;
  readonly round: number;
}

/** An answer that left, one a line. */
export interface Line {
  readonly caller: number;
  readonly request: number;
  readonly refusal: string | null;
  readonly receipt: Receipt;
}

const SALT = Buffer.alloc(16);

/** The request of a caller, always the same. */
export function entryOf(order: Order, caller: number, request: number): Entry {
  const name = createHash('sha256').update(`${order.round} ${caller} ${request}`).digest();
  const uuid = name.toString('hex').replace(/^(.{12}).(.{3}).(.{15}).*$/, '$14$28$3');
  return {
    predictionId: predictionIdOf(order.tenantId, uuid),
    isRepeatable: true,
    proof: null,
    facts: {
      providerTenantId: order.providerTenantId,
      endpointId: order.endpointId,
      agreement: {
        id: order.agreements[caller % order.agreements.length]!,
        version: 1,
        documentDigest: '0'.repeat(64),
      },
      model: { versionId: 'mdv_1', digest: null },
      purpose: 'CREDIT',
      disclosure: { kind: 'LABEL_ONLY' },
      door: 'GRAPHQL',
      region: 'local',
      declaredRegion: null,
      deviceId: null,
    },
    rowCount: 1 + (name[0]! % 5),
    startedAt: performance.now(),
    refusal: null,
    commitments: { inputDigest: name, outputDigest: name },
  };
}

export const scopeFor = ({ tenantId }: Order): Scope => ({
  tenantId,
  actor: { kind: 'APPLICATION', id: 'app_1' },
  permissions: new Set(),
  requestId: 'req',
  signal: new AbortController().signal,
});

async function work(order: Order): Promise<void> {
  const masterKey = Buffer.from(order.masterKey, 'hex');
  const pool = new pg.Pool({ connectionString: roleUrl(order.databaseUrl, masterKey, 'concordat_ledger'), max: 4 });
  const log = makeLog('error', 'replica');
  const place = { home: order.home, publicUrl: 'https://concordat.example', port: 4000 };
  const signer = await LogKeys.open({ pool, masterKey, ...place, clock: systemClock, log, listener: null });
  const ledger = new LedgerService({ pool, signer, recent: new RecentEntries(), log });
  const scope = scopeFor(order);
  const call = async (caller: number) => {
    for (let request = 0; ; request++) {
      const posted = await ledger.record(scope, entryOf(order, caller, request));
      const line: Line = { caller, request, refusal: posted.refusal, receipt: receiptOf(posted, SALT.toString('hex')) };
      // To a pipe this returns when it is written.
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  };
  await Promise.all(Array.from({ length: order.callers }, (_, caller) => call(caller)));
}

if (process.argv[2] === 'work' && process.send) {
  process.on('disconnect', () => process.exit());
  process.on('message', (order: Order) => {
    work(order).catch((error: unknown) => {
      process.stderr.write(`${String((error as Error).stack)}\n`);
      process.exit(1);
    });
  });
  process.send('ready');
}
