import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, Refused } from './demo-client.js';
import type { Printer } from './demo-print.js';

export const TARGET = 'Status';
export const ROWS_PER_DAY = 400;

export type Row = Record<string, number | string | null>;
export interface Party {
  readonly tenantId: string;
  readonly owner: Client;
  /** The owner's: custodial signatures ask for it. */
  readonly password: string;
}
export interface Estimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Reads the simple CSV of the example: quoted texts without commas; an empty cell is missing. */
export function readRows(text: string): { head: string[]; rows: Row[] } {
  const [first, ...lines] = text.trim().split('\n');
  const cells = (line: string) => line.trim().split(',');
  const head = cells(first!).map((cell) => cell.replaceAll('"', ''));
  const value = (cell: string) => (cell === '' ? null : cell.startsWith('"') ? cell.slice(1, -1) : Number(cell));
  return { head, rows: lines.map((line) => Object.fromEntries(cells(line).map((cell, i) => [head[i]!, value(cell)]))) };
}

/** Rows as the API takes them: column by column, without the target. */
export function columnsOf(rows: readonly Row[]): Record<string, unknown[]> {
  const names = Object.keys(rows[0]!).filter((name) => name !== TARGET);
  return Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name] ?? null)]));
}

/** Runs what should be refused, and returns the code. */
export async function refusal(print: Printer, what: string, call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    print.say(`${what}: ${error.code} - ${error.message}`);
    return error.code;
  }
  throw new Error(`${what}: was not refused.`);
}

export async function join(
  print: Printer,
  [anyone, operator]: readonly [Client, Client],
  name: string,
  email: string,
): Promise<Party> {
  const made = await operator.change<{ tenant: { id: string }; invitationToken: string }>(
    'createTenant',
    { name, ownerEmail: email },
    'tenant { id } invitationToken',
  );
  const password = randomBytes(18).toString('base64url');
  await anyone.change(
    'acceptInvitation',
    { token: made.invitationToken, name: `Owner of ${name}`, password },
    'tenantId',
  );
  const { token } = await anyone.change<{ token: string }>('signIn', { email, password }, 'token');
  print.say(`${name} exists; its owner has accepted the invitation and signed in.`);
  return { tenantId: made.tenant.id, owner: anyone.as(token), password };
}

export interface Version {
  datasetId: string;
  id: string;
  state: string;
  errorMessage: string | null;
  rowCount: number;
  rejectedCount: number;
  rejects: { line: number; reason: string }[];
  digest: string;
  columns: { name: string; type: string; role: string }[];
  profile: { name: string; missing: number; distinct: number; mean: number | null }[];
}

/** Announces a file and sends it; returns the upload's id. */
export async function send({ owner }: Party, fileName: string, text: string): Promise<string> {
  const bytes = Buffer.from(text);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const made = await owner.change<{ upload: { id: string }; url: string }>(
    'createUpload',
    { sizeBytes: bytes.length, sha256, fileName },
    'upload { id } url',
  );
  await owner.put(made.url, bytes);
  return made.upload.id;
}

export async function dataset(print: Printer, { owner }: Party, name: string, uploadId: string): Promise<Version> {
  const { version } = await owner.change<{ version: { id: string } }>(
    'createDataset',
    { name, uploadId },
    'version { id }',
  );
  const fields = `id datasetId state errorMessage rowCount rejectedCount rejects { line reason } digest
    columns { name type role } profile { name missing distinct mean }`;
  return settled(print, 'Reading', () =>
    owner.ask<Version>(`query Version($id: ID!) { datasetVersion(id: $id) { ${fields} } }`, { id: version.id }),
  );
}

/** Asks again until the state is final; a failure ends the demo. */
export async function settled<T extends { state: string; errorMessage: string | null }>(
  print: Printer,
  what: string,
  look: () => Promise<T>,
): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen.state === 'READY') return seen;
    if (!['INGESTING', 'COMPUTING'].includes(seen.state))
      throw new Error(`${what}: ${seen.state}: ${seen.errorMessage}`);
    print.progress(`${what} ...`);
    await sleep(200);
    print.progressDone();
  }
}

export function showVersion(print: Printer, version: Version): void {
  print.say(
    `${version.rowCount} rows, ${version.rejectedCount} lines rejected; content digest ${version.digest.slice(0, 16)}...`,
  );
  for (const { line, reason } of version.rejects) print.say(`  line ${line}: ${reason}`);
  print.table(
    ['column', 'type', 'role', 'missing', 'distinct', 'mean'],
    version.columns.map(({ name, type, role }) => {
      const { missing, distinct, mean } = version.profile.find((profile) => profile.name === name)!;
      return [name, type, role, missing, distinct, mean === null ? '' : mean.toFixed(2)];
    }),
  );
}

const ALGORITHMS = [
  ['decision tree', { decisionTree: {} }],
  ['random forest', { randomForest: {} }],
  ['gradient boosting', { gradientBoosting: {} }],
  ['logistic regression', { linear: {} }],
] as const;

export interface Training {
  id: string;
  job: { state: string; errorMessage: string | null; progress: { round: number | null; rounds: number | null } | null };
  model: { id: string };
  modelVersion: TrainedVersion | null;
}
export interface TrainedVersion {
  id: string;
  number: number;
  elapsedMs: number;
  rounds: number;
  bestRound: number;
  parity: { rows: number; edgeRows: number; maxDifference: number };
  test: { accuracy: Estimate; balancedAccuracy: Estimate; f1: Estimate; auc: Estimate; logLoss: Estimate };
}

export const VERSION = `id number elapsedMs rounds bestRound parity { rows edgeRows maxDifference }
  test { ... on BinaryMetrics { accuracy { value low high } balancedAccuracy { value low high } f1 { value low high } auc { value low high } logLoss { value low high } } }`;
const TRAINING = `id job { state errorMessage progress { round rounds } } model { id } modelVersion { ${VERSION} }`;

export async function train(
  print: Printer,
  { owner }: Party,
  given: { datasetVersionId: string; splitId: string },
): Promise<Record<string, Training>> {
  const { model } = await owner.change<{ model: { id: string } }>(
    'createModel',
    { name: 'Credit risk' },
    'model { id }',
  );
  const started = new Map<string, string>();
  for (const [name, algorithm] of ALGORITHMS) {
    const input = { ...given, target: TARGET, positiveClass: 'bad', algorithm, modelId: model.id, seed: 7 };
    const { training } = await owner.change<{ training: { id: string } }>('startTraining', input, 'training { id }');
    started.set(name, training.id);
  }
  const done: Record<string, Training> = {};
  while (Object.keys(done).length < started.size) {
    const told: string[] = [];
    for (const [name, id] of started) {
      if (done[name]) continue;
      const training = await owner.ask<Training>(`query Training($id: ID!) { training(id: $id) { ${TRAINING} } }`, {
        id,
      });
      const { state, errorMessage, progress } = training.job;
      if (state === 'FAILED' || state === 'CANCELLED') throw new Error(`${name}: ${errorMessage}`);
      if (state === 'SUCCEEDED') {
        done[name] = training;
        print.progressDone();
        const { rounds, bestRound } = training.modelVersion!;
        const count = Object.keys(done).length;
        print.say(`${count} of ${started.size} finished: ${name}, ${rounds} rounds, round ${bestRound} kept.`);
      }
      told.push(`${name} ${progress?.round ? `${progress.round}/${progress.rounds}` : state.toLowerCase()}`);
    }
    print.progress(told.join(', '));
    await sleep(200);
  }
  print.progressDone();
  return done;
}

export interface Prediction {
  labels: string[] | null;
  scores: Record<string, number[]> | null;
  rowCount: number;
  logIndex: number;
}

export function predict(caller: Client, input: object): Promise<Prediction> {
  return caller
    .ask<Prediction>(
      `mutation Predict($input: PredictInput!) { predict(input: $input) { __typename
      ... on PredictPayload { prediction { labels scores rowCount logIndex } } ... on Refusal { code message } } }`,
      { input },
    )
    .then((payload) => (payload as unknown as { prediction: Prediction }).prediction);
}

export async function agree(
  print: Printer,
  [provider, consumer]: readonly [Party, Party],
  endpointId: string,
): Promise<string> {
  const day = 86_400_000;
  const terms = {
    purposes: ['CREDIT'],
    period: { from: new Date(Date.now() - 1000).toISOString(), until: new Date(Date.now() + 365 * day).toISOString() },
    rowsPerDay: ROWS_PER_DAY,
    rowsInTotal: 10_000,
    disclosure: { kind: 'SCORES', digits: 2 },
  };
  const { agreement } = await provider.owner.change<{ agreement: { id: string; summary: string } }>(
    'offerAgreement',
    { endpointId, consumerTenantId: consumer.tenantId, terms },
    'agreement { id summary }',
  );
  print.say(agreement.summary);
  for (const [who, party] of [
    ['provider', provider],
    ['consumer', consumer],
  ] as const) {
    const signed = await party.owner.change<{ agreement: { state: string } }>(
      'signAgreement',
      { agreementId: agreement.id, password: party.password },
      'agreement { state }',
    );
    print.say(`The ${who} has signed: the agreement is ${signed.agreement.state}.`);
  }
  return agreement.id;
}

/** Recomputes the leaf hash of every entry that the tenant may read, from nothing but the entry itself. */
export async function verifyAudit({ owner }: Party): Promise<{ entries: number; kinds: Record<string, number> }> {
  const kinds: Record<string, number> = {};
  let entries = 0;
  let after: string | null = null;
  do {
    interface Entries {
      nodes: { kind: string; content: string; saltHex: string; leafHashHex: string }[];
      pageInfo: { hasNextPage: boolean; endCursor: string };
    }
    const page: Entries = await owner.ask<Entries>(
      'query Audit($after: String) { auditEntries(first: 100, after: $after) { nodes { kind content saltHex leafHashHex } pageInfo { hasNextPage endCursor } } }',
      { after },
    );
    for (const { kind, content, saltHex, leafHashHex } of page.nodes) {
      const entry = createHash('sha256').update(Buffer.from(saltHex, 'hex')).update(content).digest();
      const hash = createHash('sha256').update(Buffer.of(0)).update(entry).digest('hex');
      if (hash !== leafHashHex) throw new Error('An audit entry does not match its leaf hash.');
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      entries++;
    }
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after);
  return { entries, kinds };
}

export interface SplitCounts {
  id: string;
  state: string;
  errorMessage: string | null;
  trainRows: number;
  validationRows: number;
  testRows: number;
  digest: string;
}

export async function split(
  print: Printer,
  { owner }: Party,
  datasetVersionId: string,
  column: string,
): Promise<SplitCounts> {
  const input = { datasetVersionId, method: 'STRATIFIED', column, seed: 7 };
  const made = await owner.change<{ split: { id: string } }>('createSplit', input, 'split { id }');
  const fields = 'id state errorMessage trainRows validationRows testRows digest';
  return settled(print, 'Splitting', () =>
    owner.ask<SplitCounts>(`query Split($id: ID!) { split(id: $id) { ${fields} } }`, { id: made.split.id }),
  );
}

export interface Ranked {
  value: number;
  version: { id: string; number: number; algorithm: string; modelId: string };
}

/** The leaderboard, which knows the validation rows only. */
export function rank({ owner }: Party, splitId: string): Promise<Ranked[]> {
  return owner.ask<Ranked[]>(
    'query Board($splitId: ID!, $target: String!) { leaderboard(splitId: $splitId, target: $target) { value version { id number algorithm modelId } } }',
    { splitId, target: TARGET },
  );
}

/** The first of the leaderboard gets the alias `champion`. */
export async function promote(print: Printer, { owner }: Party, board: readonly Ranked[]): Promise<void> {
  for (const { value, version } of board)
    print.say(`log loss ${value.toFixed(4)}: version ${version.number}, ${version.algorithm}`);
  const { modelId, id: versionId } = board[0]!.version;
  await owner.change('setModelAlias', { modelId, alias: 'champion', versionId }, 'alias { alias }');
}

export async function deploy(print: Printer, { owner }: Party, name: string, modelVersionId: string): Promise<string> {
  const made = await owner.change<{ endpoint: { id: string; inputs: { name: string }[] } }>(
    'createEndpoint',
    { name, modelVersionId },
    'endpoint { id inputs { name } }',
  );
  print.say(`Endpoint ${name} takes ${made.endpoint.inputs.length} raw columns: no preparation on the caller’s side.`);
  return made.endpoint.id;
}

export async function application(print: Printer, { owner }: Party): Promise<Client> {
  const made = await owner.change<{ application: { id: string } }>(
    'createApplication',
    { name: 'Checkout' },
    'application { id }',
  );
  const key = await owner.change<{ token: string }>(
    'createApiKey',
    { applicationId: made.application.id, name: 'production', permissions: ['PREDICTION_CREATE'] },
    'token',
  );
  print.say('Harbour Stores makes an application and a key for it that can predict and nothing else.');
  return owner.as(key.token);
}

interface UsageFigures {
  requests: number;
  rows: number;
  refusals: { code: string; requests: number }[];
}

export async function sameUsage(print: Printer, parties: readonly Party[], agreementId: string): Promise<UsageFigures> {
  const query =
    'query Usage($agreementId: ID!) { usage(agreementId: $agreementId) { requests rows refusals { code requests } } }';
  const [provider, consumer] = await Promise.all(
    parties.map(({ owner }) => owner.ask<UsageFigures>(query, { agreementId })),
  );
  if (JSON.stringify(provider) !== JSON.stringify(consumer)) throw new Error('The parties read different figures.');
  print.say(
    `${provider!.requests} requests answered, ${provider!.rows} rows; refused: ${provider!.refusals.map(({ code, requests }) => `${requests} x ${code}`).join(', ')}.`,
  );
  return provider!;
}

export async function erase(print: Printer, { owner }: Party, datasetId: string, versionId: string): Promise<void> {
  await owner.change('deleteDataset', { datasetId }, 'dataset { id }');
  const version = await owner.ask<{ derivedFromDeletedData: boolean }>(
    'query Version($id: ID!) { modelVersion(id: $id) { derivedFromDeletedData } }',
    { id: versionId },
  );
  if (!version.derivedFromDeletedData) throw new Error('The champion is not marked.');
  print.say('The rows are gone with their key; the champion is marked as made from deleted data.');
}
