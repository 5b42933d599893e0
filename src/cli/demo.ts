import { readFileSync } from 'node:fs';
import { Client } from './demo-client.js';
import { percent, Printer } from './demo-print.js';
import * as learning from './demo-learning.js';
import * as demo from './demo-steps.js';

/*
 * The whole life of a model, from a file to an accounted answer, through the public API alone. `npm run demo` starts a
 * Concordat of its own for it. With --json, one object with the figures of each step goes to stdout and nothing else.
 */

const DATA = 'examples/credit_scoring/credit_data.csv';
const PENGUINS = ['examples/penguins/penguins.csv', 'examples/penguins/species_lightgbm.txt'];
/** Lines that no table should take, sent along to see them rejected. */
const DAMAGED = ['"good",9,"rent"', '"bad",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16'];

/** What the steps hand on: where the figures go, and how a refusal is told and counted. */
interface Story {
  readonly print: Printer;
  readonly figures: Record<string, unknown>;
  refused(what: string, call: Promise<unknown>): Promise<void>;
}

function tell(print: Printer): Story {
  const refusals: Record<string, number> = {};
  const refused = async (what: string, call: Promise<unknown>) => {
    const code = await demo.refusal(print, what, call);
    refusals[code] = (refusals[code] ?? 0) + 1;
  };
  return { print, figures: { refusals }, refused };
}

interface Provided {
  readonly bank: demo.Party;
  readonly shop: demo.Party;
  readonly rows: demo.Row[];
  readonly datasetId: string;
  readonly modelVersionId: string;
  readonly endpointId: string;
}

/** From two empty tenants to an endpoint of the bank's. */
async function provide(
  story: Story,
  url: string,
  operatorSignIn: { email: string; password: string },
): Promise<Provided> {
  const { print, figures, refused } = story;
  const anyone = new Client(url);
  print.step(1, 'Two organisations');
  const { token } = await anyone.change<{ token: string }>('signIn', operatorSignIn, 'token');
  const desk = [anyone, anyone.as(token)] as const;
  const bank = await demo.join(print, desk, 'Meridian Bank', 'owner@meridian.test');
  const shop = await demo.join(print, desk, 'Harbour Stores', 'owner@harbour.test');
  await refused('The operator, asking for the bank’s datasets', desk[1].ask('{ datasets { nodes { id } } }'));

  print.step(2, 'The bank uploads 4,454 credit applications, and two damaged lines');
  const text = readFileSync(DATA, 'utf8');
  const sent = `${text.trimEnd()}\n${DAMAGED.join('\n')}\n`;
  const uploadId = await demo.send(bank, 'credit_data.csv', sent);
  print.say(
    `${Buffer.byteLength(sent).toLocaleString('en-GB')} bytes sent, checked against their SHA-256, and sealed before they reached the disk.`,
  );
  const version = await demo.dataset(print, bank, 'Credit applications', uploadId);
  demo.showVersion(print, version);
  figures['data'] = { rows: version.rowCount, rejects: version.rejectedCount, digest: version.digest };

  print.step(3, 'A split: 60 % train, 20 % validation, 20 % test, the same share of defaults in each');
  const split = await demo.split(print, bank, version.id, demo.TARGET);
  print.say(
    `${split.trainRows} / ${split.validationRows} / ${split.testRows} rows; digest ${split.digest.slice(0, 16)}...`,
  );
  figures['split'] = { train: split.trainRows, validation: split.validationRows, test: split.testRows };

  const given = { datasetVersionId: version.id, splitId: split.id };
  const board = await learn(story, bank, given);

  print.step(6, 'The best on the validation rows becomes the champion, and answers at an endpoint');
  await demo.promote(print, bank, board);
  const champion = board[0]!.version;
  const endpointId = await demo.deploy(print, bank, 'credit-risk', champion.id);
  const { rows } = demo.readRows(text);
  const own = await demo.predict(bank.owner, { endpointId, columns: demo.columnsOf(rows.slice(0, 1000)) });
  print.say(
    `The bank itself asks for ${own.rowCount} rows: no agreement needed, and entry ${own.logIndex} of the log.`,
  );
  figures['endpoint'] = { id: endpointId, modelVersionId: champion.id };
  figures['predictions'] = { own: own.rowCount };

  print.step(7, 'A closer look at the champion, on the test rows');
  figures['evaluation'] = await learning.judge(print, bank, board);

  print.step(8, 'A model that LightGBM trained elsewhere joins');
  const [table, model] = PENGUINS.map((path) => readFileSync(path, 'utf8'));
  figures['import'] = await learning.importModel(print, bank, table!, model!);
  return { bank, shop, rows, datasetId: version.datasetId, modelVersionId: champion.id, endpointId };
}

/** Models for the data: four as they come, and the one that a search finds; ranked. */
async function learn(
  { print, figures }: Story,
  bank: demo.Party,
  given: { datasetVersionId: string; splitId: string },
): Promise<demo.Ranked[]> {
  print.step(4, 'Four algorithms learn to tell who will not pay back');
  const trained = await demo.train(print, bank, given);
  const versions = Object.entries(trained).map(([name, training]) => [name, training.modelVersion!] as const);
  print.table(
    ['on the test rows', 'AUC (95 %)', 'accuracy', 'F1', 'seconds', 'proved rows', 'largest difference'],
    versions.map(([name, { test, parity, elapsedMs }]) => [
      name,
      percent(test.auc),
      percent({ ...test.accuracy, low: null }),
      percent({ ...test.f1, low: null }),
      (elapsedMs / 1000).toFixed(1),
      parity.rows + parity.edgeRows,
      parity.maxDifference.toExponential(1),
    ]),
  );
  figures['metrics'] = Object.fromEntries(
    versions.map(([name, { test, parity, elapsedMs }]) => [name, { test, parity, elapsedMs }]),
  );

  const { trials, seconds } = learning.LIMITS;
  print.step(5, `Concordat looks for a better one by itself: ${trials} trials, ${seconds} seconds at most`);
  const modelId = Object.values(trained)[0]!.model.id;
  const found = await learning.tune(print, bank, { ...given, modelId });
  const board = await demo.rank(bank, given.splitId);
  const before = await learning.compare(print, bank, board, found.versionId);
  figures['tuning'] = { ...found.figures, before };
  return board;
}

/** From the offer to the end of the agreement. */
async function use({ print, figures, refused }: Story, provided: Provided): Promise<void> {
  const { bank, shop, rows, endpointId } = provided;
  print.step(9, 'An agreement puts it into the hands of Harbour Stores');
  const app = await demo.application(print, shop);
  const ask = (count: number, purpose = 'CREDIT') =>
    demo.predict(app, { endpointId, purpose, columns: demo.columnsOf(rows.slice(0, count)) });
  await refused('Before any agreement', ask(1));
  const agreementId = await demo.agree(print, [bank, shop], endpointId);

  print.step(10, 'Predictions under the agreement, and what it does not allow');
  const one = await ask(1);
  print.say(`One applicant: ${one.labels![0]}, scores ${JSON.stringify(one.scores)}; entry ${one.logIndex}.`);
  const many = await ask(300);
  print.say(`${many.rowCount} applicants at once; entry ${many.logIndex}.`);
  await refused('For advertising', ask(1, 'ADVERTISING'));
  await refused('With a column missing', demo.predict(app, { endpointId, purpose: 'CREDIT', columns: { Age: [30] } }));
  await refused(`100 more, of ${demo.ROWS_PER_DAY} a day`, ask(100));
  await bank.owner.change('suspendAgreement', { agreementId }, 'agreement { state }');
  await refused('While the bank has suspended it', ask(1));
  await bank.owner.change('resumeAgreement', { agreementId }, 'agreement { state }');
  const rest = await ask(99);
  print.say(`Resumed: ${rest.rowCount} rows more, the last of the day.`);
  await refused('One more', ask(1));
  Object.assign(figures['predictions'] as object, { underAgreement: one.rowCount + many.rowCount + rest.rowCount });

  print.step(11, 'Both parties read the same figures, and verify the record');
  figures['agreement'] = await demo.sameUsage(print, [bank, shop], agreementId);
  const audits = { 'Meridian Bank': await demo.verifyAudit(bank), 'Harbour Stores': await demo.verifyAudit(shop) };
  for (const [name, { entries }] of Object.entries(audits))
    print.say(`${name}: ${entries} entries, every leaf hash recomputed and equal.`);
  figures['audit'] = audits;

  print.step(12, 'The end: the agreement is terminated, the data deleted');
  const { agreement } = await shop.owner.change<{ agreement: { state: string } }>(
    'terminateAgreement',
    { agreementId },
    'agreement { state }',
  );
  print.say(`The agreement is ${agreement.state}.`);
  await refused('Afterwards', ask(1));
  await demo.erase(print, bank, provided.datasetId, provided.modelVersionId);
}

async function main(): Promise<void> {
  const { CONCORDAT_URL: url, CONCORDAT_OPERATOR_EMAIL: email, CONCORDAT_OPERATOR_PASSWORD: password } = process.env;
  if (!url || !email || !password)
    throw new Error('The demo needs CONCORDAT_URL and the operator’s email and password: use `npm run demo`.');
  const json = process.argv.includes('--json');
  const started = Date.now();
  const print = new Printer(json);
  const story = tell(print);
  await use(story, await provide(story, url, { email, password }));
  const seconds = Math.round((Date.now() - started) / 100) / 10;
  print.say(`\n   All of it in ${seconds} s.`);
  if (json) process.stdout.write(`${JSON.stringify({ ...story.figures, seconds })}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`\nThe demo failed: ${(error as Error).message}\n`);
  process.exitCode = 1;
});
