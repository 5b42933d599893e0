import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyAuditLog } from '../../src/cli/audit-verify.js';
import {
  checkCheckpoint,
  checkConsistency,
  type Key,
  readCheckpoint,
  readKey,
  witnessesOf,
} from '../../src/cli/verifier.mjs';
import { ensureOperator } from '../../src/domain/tenants/account.service.js';
import { roleUrl } from '../../src/platform/db.js';
import { random } from '../ml/onnx-models.js';
import { makeTenant, PASSWORD, signIn, type TestTenant } from '../support/app.js';
import { type Client, makeClient } from '../support/client.js';
import { makeData } from '../workers/data.js';
import { type Cluster, startCluster, until, type Victim, VICTIMS } from './cluster.js';
import { Callers, type Deal } from './cluster-callers.js';
import { compare, type Seen } from './cluster-truth.js';
import { makeDevice, type TestDevice } from './device-support.js';
import { makeWitness, type TestWitness } from './witness-support.js';

/** `TEST_KILLS=60 npm test -- test/api/kill.test.ts` for a longer run. */
const KILLS = Number(process.env['TEST_KILLS'] ?? 10);
const SEED = Number(process.env['TEST_SEED'] ?? Date.now() % 1e6);
const CALLERS = 20;
/** Used up on the way. */
const ROWS_IN_TOTAL = 60 * KILLS;
const BUDGET_ROWS = 40 * KILLS;
const DECK: readonly Victim[] = [
  'an API',
  'the worker',
  'an API',
  'the postmaster',
  'an API',
  'a backend',
  'an API',
  'all of PostgreSQL',
  'an API',
  'both APIs',
];

let cluster: Cluster;
let provider: TestTenant;
let consumer: TestTenant;
let endpointId: string;
let data: Awaited<ReturnType<typeof makeData>>;
let witness: TestWitness;
let callers: Callers;
let keys: Key[];
const next = random(SEED);

beforeAll(async () => {
  cluster = await startCluster();
  const { app } = cluster;
  const operator = (await ensureOperator(app.db, 'operator@example.com'))!;
  await until(() => cluster.isWhole(), 'two APIs are ready');
  const desk = await signIn(makeClient(cluster.urls[0]), operator.email, operator.password);
  [provider, consumer] = [await makeTenant(desk, 'Provider'), await makeTenant(desk, 'Consumer')];
  data = await makeData(app, { tenantId: provider.id });
  const trainingId = await startTraining();
  await until(async () => (await trainingOf(trainingId)).modelVersion !== null, 'a model is trained');
  const modelVersionId = (await trainingOf(trainingId)).modelVersion!.id;
  const { endpoint } = await provider.owner.mutate<{ endpoint: { id: string; classes: string[] } }>(
    'createEndpoint',
    { name: 'Buyers', modelVersionId },
    'endpoint { id classes }',
  );
  endpointId = endpoint.id;
  const { classes } = endpoint;
  const published = (await (await fetch(`${cluster.urls[0]}/log/keys`)).json()) as { keys: { verifierKey: string }[] };
  keys = published.keys.map(({ verifierKey }) => readKey(verifierKey));
  witness = makeWitness('witness.example/kill');
  await consumer.owner.mutate('registerWitness', { verifierKey: witness.verifierKey }, 'witness { name }');
  callers = new Callers({ ...(await makeDeals()), urls: cluster.urls, endpointId, classes, keys });
  // It may have to be built first.
}, 300_000);
afterAll(async () => {
  callers?.close();
  await cluster?.close();
});

async function makeDeals(): Promise<{ apiKey: string; deals: Deal[] }> {
  const { id: applicationId, key: apiKey } = await consumer.application();
  const agree = async (change: Record<string, unknown>): Promise<string> => {
    const now = Date.now();
    const terms = {
      purposes: ['CREDIT'],
      period: { from: new Date(now - 60_000).toISOString(), until: new Date(now + 86_400_000).toISOString() },
      disclosure: { kind: 'SCORES', digits: 3 },
      ...change,
    };
    const { agreement } = await provider.owner.mutate<{ agreement: { id: string } }>(
      'offerAgreement',
      { endpointId, consumerTenantId: consumer.id, terms },
      'agreement { id }',
    );
    const input = { agreementId: agreement.id, password: PASSWORD };
    for (const { owner } of [provider, consumer]) await owner.mutate('signAgreement', input, 'agreement { state }');
    return agreement.id;
  };
  const device: TestDevice = makeDevice();
  const proven = await agree({ devices: { proof: 'REQUIRED', most: 1 } });
  const registered = await consumer.owner.mutate<{ device: { id: string } }>(
    'registerDevice',
    { applicationId, name: 'Phone', publicKey: JSON.stringify(device.jwk) },
    'device { id }',
  );
  await consumer.owner.mutate(
    'admitDevice',
    { agreementId: proven, deviceId: registered.device.id },
    'agreementDevice { deviceId }',
  );
  const noise = { kind: 'NOISY', epsilonMilliPerRow: 7, digits: 2, budgetMilli: 7 * BUDGET_ROWS + 6 };
  const deals: Deal[] = [
    { name: 'no limit', agreementId: await agree({}), device: null },
    { name: 'rows in total', agreementId: await agree({ rowsInTotal: ROWS_IN_TOTAL }), device: null },
    { name: 'rows per second', agreementId: await agree({ rowsPerSecond: 40 }), device: null },
    { name: 'a privacy budget', agreementId: await agree({ disclosure: noise }), device: null },
    { name: 'devices', agreementId: proven, device },
  ];
  return { apiKey, deals };
}

/** Of whichever API answers. */
async function anywhere<T>(ask: (owner: Client) => Promise<T>, tenant = provider): Promise<T> {
  for (let at = 0; ; at++)
    try {
      return await ask(makeClient(cluster.urls[at % 2]!, tenant.owner.token));
    } catch (error) {
      if (at > 200) throw error;
      await delay(200);
    }
}

async function startTraining(): Promise<string> {
  const { datasetVersionId, splitId } = data;
  const parameters = { nEstimators: 40, earlyStoppingRounds: 0 };
  const input = {
    datasetVersionId,
    splitId,
    target: 'bought',
    features: ['age', 'income', 'city'],
    modelName: 'Buyers',
  };
  const { training } = await anywhere((owner) =>
    owner.mutate<{ training: { id: string } }>(
      'startTraining',
      { ...input, algorithm: { gradientBoosting: parameters }, seed: 7 },
      'training { id }',
    ),
  );
  return training.id;
}

interface Training {
  readonly job: { readonly state: string; readonly errorMessage: string | null };
  readonly modelVersion: { readonly id: string } | null;
}
const trainingOf = async (id: string): Promise<Training> =>
  (
    await anywhere((owner) =>
      owner.query<{ training: Training }>(
        `query ($id: ID!) { training(id: $id) { job { state errorMessage } modelVersion { id } } }`,
        { id },
      ),
    )
  ).training;

/** One training after the other, while `goesOn`. Returns how each ended. */
async function keepTraining(goesOn: () => boolean): Promise<string[]> {
  const states: string[] = [];
  while (goesOn()) {
    const id = await startTraining();
    let state = '';
    await until(
      async () => /SUCCEEDED|FAILED|CANCELLED/.test((state = (await trainingOf(id)).job.state)),
      'a training ends',
      180_000,
    );
    states.push(state);
  }
  return states;
}

/** Looks at the checkpoint of one API after the other; each look is later than the one before. */
class Monitor {
  readonly seen: Seen[] = [];
  readonly faults: string[] = [];
  readonly integrators = new Set<number>();
  private at = 0;

  get size(): number {
    return this.seen.at(-1)?.treeSize ?? 0;
  }

  async look(): Promise<void> {
    const url = cluster.urls[this.at++ % 2]!;
    const answer = await fetch(`${url}/log/checkpoint`, { signal: AbortSignal.timeout(3000) }).catch(() => null);
    const note = answer?.ok ? await answer.text().catch(() => null) : null;
    if (note === null) return;
    const checkpoint = readCheckpoint(note);
    checkCheckpoint(checkpoint, keys);
    const { origin, treeSize, rootHash } = checkpoint;
    if (treeSize < this.size) this.faults.push(`the log shrank from ${this.size} to ${treeSize}`);
    if (treeSize !== this.size) this.seen.push({ origin, treeSize, rootHash: rootHash.toString('hex') });
  }

  async lookForIntegrator(): Promise<void> {
    const holders = await cluster.integrators();
    if (holders.length > 1) this.faults.push('two integrate the log');
    for (const pid of holders) this.integrators.add(pid);
  }

  async run(goesOn: () => boolean): Promise<void> {
    for (; goesOn(); await delay(60)) await this.look().catch((error: Error) => this.faults.push(error.message));
  }
}

/** The present checkpoint, seen and signed by the witness. */
async function cosign(): Promise<void> {
  await anywhere(async (owner) => {
    const note = await (await fetch(`${owner.url}/log/checkpoint`)).text();
    const { treeSize, text } = readCheckpoint(note);
    await owner.mutate('witnessCheckpoint', { treeSize, cosignature: witness.cosign(text, new Date()) }, 'note');
  }, consumer);
}

/** What came back how soon after a kill, in milliseconds. */
interface Recovery {
  readonly answerMs: number;
  readonly checkpointMs: number;
}

async function killOne(victim: Victim, monitor: Monitor): Promise<Recovery | null> {
  await monitor.lookForIntegrator();
  await until(() => cluster.kill(victim, next()), `${victim} can be killed`);
  // Now and then the next one comes before anything is mended.
  if (next() < 0.2) {
    await delay(600 * next());
    return null;
  }
  const from = performance.now();
  const [answers, size] = [callers.received.length, monitor.size];
  const after = async (condition: () => boolean, what: string) => {
    await until(condition, what);
    return performance.now() - from;
  };
  const [answerMs, checkpointMs] = await Promise.all([
    after(() => callers.received.length > answers + 10, `answers after the kill of ${victim}`),
    after(() => monitor.size > size, `a checkpoint after the kill of ${victim}`),
  ]);
  // Sometimes everything works again before the next, sometimes not yet.
  if (next() < 0.5) await until(() => cluster.isWhole(), 'everything runs again');
  await delay(1500 * next());
  return { answerMs, checkpointMs };
}

/** Killed as the deck has it, shuffled. */
function order(): Victim[] {
  const victims = Array.from({ length: KILLS }, (_, at) => DECK[at % DECK.length]!);
  for (let at = victims.length - 1; at > 0; at--) {
    const other = Math.floor((at + 1) * next());
    [victims[at], victims[other]] = [victims[other]!, victims[at]!];
  }
  return victims;
}

function summary(recoveries: ReadonlyMap<Victim, (Recovery | null)[]>): string {
  const spread = (values: number[]) => {
    const [low, high] = [Math.min(...values), Math.max(...values)].map((ms) => (ms / 1000).toFixed(1));
    return values.length === 0 ? '-' : `${low} to ${high} s`;
  };
  return VICTIMS.map((victim) => {
    const of = recoveries.get(victim) ?? [];
    const waited = of.filter((one) => one !== null);
    const [answers, checkpoints] = [waited.map((one) => one.answerMs), waited.map((one) => one.checkpointMs)];
    return `${victim.padEnd(18)} ${String(of.length).padStart(3)} kills   answers again after ${spread(answers).padEnd(14)} a checkpoint after ${spread(checkpoints)}`;
  }).join('\n');
}

it(
  `loses, charges and signs nothing wrongly over ${KILLS} kills of everything under load at both doors`,
  { timeout: 120_000 + 20_000 * KILLS },
  async () => {
    let isOver = false;
    const monitor = new Monitor();
    const watching = monitor.run(() => !isOver);
    await until(() => monitor.size > 0, 'a first checkpoint');
    await cosign();
    const first = monitor.seen[0]!;
    callers.start(CALLERS, SEED);
    const training = keepTraining(() => !isOver);
    // Whatever else fails is told first.
    training.catch(() => undefined);
    const recoveries = new Map<Victim, (Recovery | null)[]>();
    try {
      for (const [at, victim] of order().entries()) {
        recoveries.set(victim, [...(recoveries.get(victim) ?? []), await killOne(victim, monitor)]);
        if (at % 10 === 5) await cosign();
      }
      await until(() => cluster.isWhole(), 'everything runs again');
      await callers.stop();
      // What is left of the limits, row by row.
      for (const { deal, code } of used()) {
        const last = await untilRefused(deal);
        expect(last).toBe(code);
      }
      const end = callers.received.at(-1)!.index;
      await until(() => monitor.size > end, 'the last answer is in the tree');
    } catch (error) {
      const state = [cluster.deserters, callers.faults.slice(0, 10), [...callers.refusals]].map((one) =>
        JSON.stringify(one),
      );
      console.error([`TEST_SEED=${SEED}`, cluster.log(), await cluster.activity(), ...state].join('\n'));
      throw error;
    } finally {
      isOver = true;
      await watching;
    }
    const states = await training;

    const truth = await compare(cluster.databaseUrl, callers.received, monitor.seen);
    const { received, faults, lost, repetitions, refusals } = callers;
    console.log(
      `TEST_SEED=${SEED}: ${KILLS} kills of\n${summary(recoveries)}\n${received.length} answers received and verified, ${lost} tries without one, ` +
        `${repetitions} repetitions; recorded: ${truth.answered} answers (${truth.unanswered} of them never arrived), ${truth.refused} refusals; ` +
        `${monitor.seen.length} checkpoints seen, of ${monitor.integrators.size} integrators; trainings: ${states.join(' ')}; refusals: ${JSON.stringify([...refusals])}`,
    );
    const wrong = [...new Set([...faults, ...monitor.faults, ...truth.faults, ...cluster.deserters])];
    if (wrong.length > 0) console.error(cluster.log());
    expect(wrong).toEqual([]);
    expect(monitor.integrators.size).toBeGreaterThan(1);
    expect(truth.unanswered).toBeLessThanOrEqual(lost);
    expect(truth.answered).toBe(received.length + truth.unanswered);
    await expectLimits();
    await expectTrainings(states);
    await expectLog(first, monitor);
  },
);

const used = () => [
  { deal: dealOf('rows in total'), code: 'QUOTA_TOTAL_EXCEEDED', rows: ROWS_IN_TOTAL },
  { deal: dealOf('a privacy budget'), code: 'PRIVACY_BUDGET_SPENT', rows: BUDGET_ROWS },
];
const dealOf = (name: string): Deal => callers.asker.deals.find((deal) => deal.name === name)!;

async function untilRefused(deal: Deal): Promise<string> {
  for (;;) {
    const codes = await Promise.all(Array.from({ length: 8 }, () => callers.once(deal, 1, next)));
    const code = codes.find((one) => one !== 'ANSWERED');
    if (code) return code;
  }
}

/** Used up to the last row. */
async function expectLimits(): Promise<void> {
  for (const { deal, rows } of used()) {
    const usage = await consumer.owner.query<{ usage: { rows: number } }>(
      `query ($id: ID!) { usage(agreementId: $id) { rows } }`,
      { id: deal.agreementId },
    );
    expect(usage).toEqual({ usage: { rows } });
  }
}

/** Each became one version, whatever was killed under it; how often a run may start is limited. */
async function expectTrainings(states: readonly string[]): Promise<void> {
  const counts = await cluster.app.db.app.transaction(async (tx) => {
    await tx.query(`select set_config('app.tenant_id', $1, true)`, [provider.id]);
    return tx.query<{ state: string; versions: number }[]>(
      `select j.state, (select count(*) from model_version v where v.tenant_id = t.tenant_id and v.training_id = t.id) as versions
       from training t join job j on j.tenant_id = t.tenant_id and j.id = t.job_id where t.tenant_id = $1`,
      [provider.id],
    );
  });
  expect(counts.length).toBeGreaterThanOrEqual(states.length);
  for (const { state, versions } of counts)
    expect({ state, versions }).toEqual({ state, versions: state === 'SUCCEEDED' ? 1 : 0 });
  expect(states).toContain('SUCCEEDED');
}

async function expectLog(first: Seen, monitor: Monitor): Promise<void> {
  const last = monitor.seen.at(-1)!;
  const { logConsistencyProof: proof } = await consumer.owner.query<{ logConsistencyProof: { path: string[] } }>(
    `query ($from: Long!, $to: Long!) { logConsistencyProof(from: $from, to: $to) { path } }`,
    { from: first.treeSize, to: last.treeSize },
  );
  checkConsistency({
    from: first.treeSize,
    to: last.treeSize,
    fromRoot: Buffer.from(first.rootHash, 'hex'),
    toRoot: Buffer.from(last.rootHash, 'hex'),
    path: proof.path.map((hash) => Buffer.from(hash, 'base64')),
  });
  const url = roleUrl(cluster.databaseUrl, cluster.masterKey, 'concordat_ledger');
  expect(await verifyAuditLog(url)).toMatchObject({ sound: true });
  const witnessed = readCheckpoint(await (await fetch(`${cluster.urls[1]}/log/checkpoint/witnessed`)).text());
  expect(witnessesOf(witnessed, [readKey(witness.verifierKey)])).toHaveLength(1);
  checkCheckpoint(witnessed, keys);
}
