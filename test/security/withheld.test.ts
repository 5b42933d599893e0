import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeOipWorld, type OipWorld } from '../api/open-inference-world.js';
import { oipClient } from '../api/open-inference-support.js';
import { classifier } from '../domain/serving-support.js';
import { rawRequest } from '../support/client.js';

/** What nobody else may have: values of rows as they stand in requests, and the scores that the rule withholds. */
const CITY = 'Kanarienvogel-5f0c';
const WRONG = 'Zaunkoenig-91d2';
const X = 0.7382915046;
const PURPOSE = 'Blaumeise-77aa';

let world: OipWorld;
let replica: ChildProcess;
let url: string;
let said = '';
let secrets: Map<string, string>;
const folder = mkdtempSync(join(tmpdir(), 'concordat-withheld-'));

/** A process of its own that says all that it can. */
beforeAll(async () => {
  world = await makeOipWorld();
  const { databaseUrl, masterKey } = world.api.database;
  replica = spawn(
    process.execPath,
    ['--import', 'tsx', '--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${folder}`, 'src/main.ts'],
    {
      env: {
        PATH: process.env['PATH'],
        DATABASE_URL: databaseUrl,
        CONCORDAT_MASTER_KEY: masterKey.toString('hex'),
        CONCORDAT_HOME: world.api.app.config.home,
        LOG_LEVEL: 'trace',
        PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  for (const stream of [replica.stdout!, replica.stderr!]) stream.on('data', (bytes) => (said += String(bytes)));
  await until(() => /"url":"http[^"]+","msg":"listening"/.test(said));
  url = /"url":"(http[^"]+)"/.exec(said)![1]!;
  secrets = await ask();
});
afterAll(async () => {
  if (replica?.exitCode === null) {
    replica.kill('SIGKILL');
    await once(replica, 'exit');
  }
  rmSync(folder, { recursive: true });
});

async function until(holds: () => boolean): Promise<void> {
  for (const from = Date.now(); !holds(); await delay(20))
    if (Date.now() - from > 60_000) throw new Error(`It does not become so.\n${said}`);
}

/** Answers and refusals of every kind at the replica, through both doors. Returns what must be found nowhere. */
async function ask(): Promise<Map<string, string>> {
  const { agree, caller, callerGraphQL, consumer, credit, provider } = world;
  const before = files();
  const spoilt = await world.createEndpoint('spoilt', classifier());
  for (const file of files()) if (!before.includes(file)) truncateSync(file, 100);
  const agreementId = await agree(credit, { disclosure: { kind: 'LABEL_ONLY' }, rowsInTotal: 40 });
  await agree(spoilt, { disclosure: { kind: 'LABEL_ONLY' } });
  const row = { x: [X], city: [CITY] };
  const { prediction } = await provider.owner.mutate<{ prediction: { scores: Record<'no' | 'yes', number[]> } }>(
    'predict',
    { endpointId: credit, columns: row },
    'prediction { scores }',
  );
  const door = oipClient(url, caller.token);
  const graphql = async (token: string | null, input: object) => {
    const query = `mutation ($input: PredictInput!) { predict(input: $input) { __typename ... on Refusal { code message remedy field }
      ... on PredictPayload { prediction { labels scores saltHex } } } }`;
    const { text } = await rawRequest(`${url}/graphql`, {
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables: { input } }),
    });
    return text;
  };
  const tensors = (x: unknown, city: unknown) => [
    { name: 'x', datatype: 'FP64', shape: [1], data: [x] },
    { name: 'city', datatype: 'BYTES', shape: [1], data: [city] },
  ];
  const parameters = { purpose: 'CREDIT', agreement: agreementId };
  const asked = { endpointId: credit, columns: row, purpose: 'CREDIT', agreementId };
  const errors: string[] = [];
  const answers = [await graphql(callerGraphQL.token, asked), await graphql(consumer.owner.token, asked)];
  answers.push(JSON.stringify((await door.infer(credit, { parameters, inputs: tensors(X, CITY) })).body));
  const wrongRows = [
    { x: [WRONG], city: [CITY] },
    { x: [X], city: [{ [WRONG]: 1 }] },
    { x: [X] },
    { x: [X, X], city: [CITY] },
  ];
  for (const columns of wrongRows) errors.push(await graphql(callerGraphQL.token, { ...asked, columns }));
  errors.push(await graphql(callerGraphQL.token, { ...asked, purpose: PURPOSE }));
  errors.push(await graphql(callerGraphQL.token, { ...asked, endpointId: spoilt, agreementId: null }));
  errors.push(await graphql(null, asked));
  const tensorErrors = [
    { parameters, inputs: tensors(WRONG, CITY) },
    { parameters, inputs: tensors(X, 7) },
    { parameters: { purpose: 'RESEARCH' }, inputs: tensors(X, CITY) },
  ];
  for (const request of tensorErrors) errors.push(JSON.stringify((await door.infer(credit, request)).body));
  errors.push(JSON.stringify((await door.infer(spoilt, { ...parameters, inputs: tensors(X, CITY) })).body));
  const broken = `{"inputs":[{"name":"city","datatype":"BYTES","shape":[1],"data":["${WRONG}"`;
  errors.push(JSON.stringify((await door.send(`/v2/models/${credit}/infer`, broken)).body));
  errors.push(
    ...(await withoutLedger(async () => [
      await graphql(callerGraphQL.token, asked),
      JSON.stringify((await door.infer(credit, { parameters, inputs: tensors(X, CITY) })).body),
    ])),
  );
  // Until the agreement has nothing left.
  for (let code = ''; !code.includes('QUOTA_TOTAL_EXCEEDED'); errors.push(code))
    code = await graphql(callerGraphQL.token, asked);
  const { no, yes } = prediction.scores;
  const withheld = new Map([
    ['a score', yes[0]!.toPrecision(6)],
    ['the other score', no[0]!.toPrecision(6)],
    ['a text', CITY],
    ['a number', String(X)],
    ['a wrong value', WRONG],
    ['an API key', caller.token!.slice(3)],
    ['a session', consumer.owner.token!.slice(3)],
  ]);
  expect(answers.join('\n')).toMatch(/"labels":\["yes"\].*"data":\["yes"\]/s);
  for (const code of [
    'INPUT_INVALID',
    'ENDPOINT_NOT_READY',
    'UNAUTHENTICATED',
    'PURPOSE_NOT_ALLOWED',
    'MALFORMED_REQUEST',
    'UNAVAILABLE',
  ])
    expect(errors.join('\n')).toContain(code);
  for (const [what, value] of withheld) expect([...answers, ...errors].join('\n').includes(value), what).toBe(false);
  // The caller is told its own; elsewhere it has no business either.
  return withheld.set('a purpose that is none', PURPOSE);
}

/** Runs `work` while the database refuses what the ledger asks of it. */
async function withoutLedger<T>(work: () => Promise<T>): Promise<T> {
  const owner = new pg.Client(world.api.database.databaseUrl);
  await owner.connect();
  try {
    await owner.query(`revoke execute on function ledger_flush from concordat_ledger`);
    return await work();
  } finally {
    await owner.query(`grant execute on function ledger_flush to concordat_ledger`);
    await owner.end();
  }
}

const files = () =>
  readdirSync(join(world.api.app.config.home, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));

it('is in no line of the log, of whatever level', () => {
  // Of what failed, something was said.
  expect(said).toContain('inference failed');
  expect(said).toContain('the ledger could not record');
  for (const [what, value] of secrets) expect(said.includes(value), what).toBe(false);
});

it('is in no table', async () => {
  const owner = new pg.Client(world.api.database.databaseUrl);
  await owner.connect();
  const { rows: tables } = await owner.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  expect(tables.length).toBeGreaterThan(30);
  const found: string[] = [];
  for (const { name } of tables)
    for (const [what, value] of [...secrets, ['what is no secret', 'spoilt']]) {
      const { rows } = await owner.query(
        `select from ${name} t where strpos(t::text, $1) > 0 or strpos(t::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0 limit 1`,
        [value],
      );
      if (rows.length > 0) found.push(`${what} in ${name}`);
    }
  await owner.end();
  // What is there is found.
  const there = ['audit_entry', 'endpoint'].map((name) => `what is no secret in public.${name}`);
  expect(found.sort()).toEqual(there);
});

it('stays in no memory once other requests have been answered: nothing between model and answer is kept', async () => {
  const door = oipClient(url, world.caller.token);
  // Each of the replica's connections, buffers and caches of the language has seen something else since.
  for (let i = 0; i < 200; i++) await door.get(`/v2/models/${world.price}`);
  replica.kill('SIGUSR2');
  const named = () => readdirSync(folder).filter((name) => name.endsWith('.heapsnapshot'));
  await until(() => named().length > 0);
  const snapshot = () => readFileSync(join(folder, named()[0]!));
  // It is written while the process stands still, and ends with the list of strings.
  await until(() => snapshot().subarray(-4).toString().includes(']'));
  const heap = snapshot();
  // It can be found there, if it is there.
  expect(heap.includes('concordat_gate')).toBe(true);
  for (const [what, value] of secrets) expect(heap.includes(value), what).toBe(false);
}, 120_000);
