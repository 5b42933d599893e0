import { setTimeout as sleep } from 'node:timers/promises';
import { between, percent, type Printer } from './demo-print.js';
import * as demo from './demo-steps.js';

/** What the demo shows of finding, judging and importing models. */

/** What ends the search: trials, so that it finds the same everywhere; seconds, for machines that have much else to do. */
export const LIMITS = { trials: 12, seconds: 60 };
const FOLDS = 3;
const COMBINATIONS = ['VOTING', 'STACKING', 'BAGGING'];
/** Of those whom the model calls bad, the share that is to be. */
const PRECISION = 0.7;

interface Job {
  readonly state: string;
  readonly errorMessage: string | null;
  readonly progress: { readonly phase: string; readonly trials: number | null; readonly best: number | null } | null;
}
const JOB = 'job { state errorMessage progress { phase trials best } }';

/** Asks again until the job has succeeded; any other end is the end of the demo. */
async function finished<T extends { readonly job: Job }>(
  print: Printer,
  what: string,
  look: () => Promise<T>,
): Promise<T> {
  for (;;) {
    const seen = await look();
    const { state, errorMessage, progress } = seen.job;
    if (state === 'SUCCEEDED') return seen;
    if (state === 'FAILED' || state === 'CANCELLED') throw new Error(`${what}: ${errorMessage ?? state}`);
    const best = progress?.best ? `, best ${progress.best.toFixed(4)}` : '';
    print.progress(
      `${what}: ${progress?.trials ? `${progress.trials} trials${best}` : (progress?.phase ?? 'waiting')}`,
    );
    await sleep(200);
    print.progressDone();
  }
}

interface Trial {
  readonly number: number;
  readonly algorithm: string;
  readonly value: number;
  readonly elapsedMs: number;
  readonly members: readonly { readonly algorithm: string }[];
}
interface Study {
  readonly job: Job;
  readonly endedBy: string;
  readonly counts: Record<'complete' | 'pruned' | 'failed' | 'infeasible', number>;
  readonly leaderboard: readonly Trial[];
  readonly bestTrial: Trial;
  readonly training: { readonly id: string };
}
const TRIAL = 'number algorithm value elapsedMs members { algorithm }';

export interface Found {
  readonly versionId: string;
  readonly figures: object;
}

/** Lets the platform search, and trains what it found as the next version of the model. */
export async function tune(
  print: Printer,
  { owner }: demo.Party,
  given: { datasetVersionId: string; splitId: string; modelId: string },
): Promise<Found> {
  const input = { ...given, target: demo.TARGET, positiveClass: 'bad', folds: FOLDS, limits: LIMITS, seed: 7 };
  const started = await owner.change<{ study: { id: string } }>(
    'startTuning',
    { ...input, search: 'AUTO' },
    'study { id }',
  );
  const fields = `${JOB} endedBy counts { complete pruned failed infeasible } leaderboard(first: 100) { ${TRIAL} } bestTrial { ${TRIAL} } training { id }`;
  const study = await finished(print, 'Searching', () =>
    owner.ask<Study>(`query Study($id: ID!) { study(id: $id) { ${fields} } }`, started.study),
  );
  const { leaderboard, bestTrial, counts } = study;
  const algorithms = [...new Set(leaderboard.map(({ algorithm }) => algorithm))];
  const board = algorithms.map((name) => {
    const trials = leaderboard.filter(({ algorithm }) => algorithm === name);
    return { algorithm: name, logLoss: trials[0]!.value, trials: trials.length, members: membersOf(trials[0]!) };
  });
  print.say(`${counts.complete} trials judged, ${counts.pruned} given up; the best of each kind:`);
  print.table(
    ['algorithm', 'log loss', 'trials'],
    board.map(({ algorithm, logLoss, trials, members }) => [
      members.length > 0 ? `${algorithm} of ${members.join(', ')}` : algorithm,
      logLoss.toFixed(4),
      trials,
    ]),
  );
  const { modelVersion: version } = await finished(print, 'Training the best', () =>
    owner.ask<{ job: Job; modelVersion: demo.TrainedVersion }>(
      `query Best($id: ID!) { training(id: $id) { ${JOB} modelVersion { ${demo.VERSION} } } }`,
      study.training,
    ),
  );
  print.say(`Trial ${bestTrial.number}, ${bestTrial.algorithm}, was chosen and trained: version ${version.number}.`);
  const { number, test, parity } = version;
  const best = { algorithm: bestTrial.algorithm, version: number, test, parity };
  return { versionId: version.id, figures: { ...counts, endedBy: study.endedBy, leaderboard: board, best } };
}

/** The kinds that a combination is made of, each once. */
function membersOf({ members }: Trial): string[] {
  return [...new Set(members.map(({ algorithm }) => algorithm))];
}

/** The version that was found beside the best of those before, by the figures that they came with. */
export async function compare(
  print: Printer,
  { owner }: demo.Party,
  board: readonly demo.Ranked[],
  found: string,
): Promise<object> {
  const before = board.find(({ version }) => version.id !== found)!.version;
  interface Comparison {
    test: { figure: string; a: demo.Estimate; b: demo.Estimate; difference: number; better: string | null }[];
  }
  const { test } = await owner.ask<Comparison>(
    'query Compare($a: ID!, $b: ID!) { compareModelVersions(a: $a, b: $b) { test { figure a { value } b { value } difference better } } }',
    { a: before.id, b: found },
  );
  const told = test.filter(({ figure }) => ['AUC', 'LOG_LOSS', 'F1'].includes(figure));
  const figures = told.map(({ figure, a, b }) => `${figure} ${b.value!.toFixed(4)} (${a.value!.toFixed(4)})`);
  print.say(
    `On the test rows, with that of the best before, version ${before.number}, in brackets: ${figures.join(', ')}.`,
  );
  return { version: before.number, figures: told };
}

interface Group {
  group: string | null;
  rows: number;
  rates: { name: string; rate: demo.Estimate }[];
}
interface Sections {
  metrics: { rows: number };
  curves: { averagePrecision: demo.Estimate }[];
  calibration: { brier: demo.Estimate; errorEqualCount: number };
  thresholds: { threshold: number | null; measured: { precision: demo.Estimate; recall: demo.Estimate } | null }[];
  groups: { groups: Group[]; maskedRows: number }[];
  against: { figures: { name: string; difference: demo.Estimate }[] };
  shap: { rows: number; columns: { column: string; meanAbsolute: number }[] };
}
const ESTIMATE = '{ value low high }';
const CLOSER = `metrics { rows } curves { averagePrecision ${ESTIMATE} } calibration { brier ${ESTIMATE} errorEqualCount }
  thresholds { threshold measured { precision ${ESTIMATE} recall ${ESTIMATE} } }
  groups { groups { group rows rates { name rate ${ESTIMATE} } } maskedRows }
  against { figures { name difference ${ESTIMATE} } }`;
const SHAPLEY = 'shap { rows columns { column meanAbsolute } }';

async function evaluate<Section extends keyof Sections>(
  print: Printer,
  { owner }: demo.Party,
  input: { modelVersionId: string } & Record<string, unknown>,
  fields: string,
): Promise<Pick<Sections, Section>> {
  const { evaluation } = await owner.change<{ evaluation: { id: string } }>('evaluate', input, 'evaluation { id }');
  const { sections } = await finished(print, 'Evaluating', () =>
    owner.ask<{ job: Job; sections: Pick<Sections, Section> }>(
      `query Evaluation($id: ID!) { evaluation(id: $id) { ${JOB} sections { ${fields} } } }`,
      evaluation,
    ),
  );
  return sections;
}

/** The champion on the test rows, beside the second of the leaderboard. */
export async function judge(print: Printer, bank: demo.Party, board: readonly demo.Ranked[]): Promise<object> {
  const [{ version: champion }, { version: second }] = board as readonly [demo.Ranked, demo.Ranked];
  const { metrics, curves, calibration, thresholds, groups, against } = await evaluate<Exclude<keyof Sections, 'shap'>>(
    print,
    bank,
    {
      modelVersionId: champion.id,
      againstVersionId: second.id,
      curves: true,
      calibration: { bins: 10 },
      thresholds: [{ minimumPrecision: PRECISION }],
      groups: { columns: ['Job'] },
    },
    CLOSER,
  );
  const { averagePrecision } = curves[0]!;
  const { brier, errorEqualCount } = calibration;
  print.say(
    `Version ${champion.number}, ${metrics.rows} rows: average precision ${percent(averagePrecision)}, Brier score ${brier.value!.toFixed(4)}, calibration error ${errorEqualCount.toFixed(4)}.`,
  );
  const { threshold, measured } = thresholds[0]!;
  if (measured)
    print.say(
      `Asked for a precision of ${100 * PRECISION} %, the validation rows choose the threshold ${threshold!.toFixed(2)}; here: precision ${percent(measured.precision)}, recall ${percent(measured.recall)}.`,
    );
  print.say('By job, at the threshold of the version itself:');
  const share = ({ rates }: Group, name: string) => percent(rates.find((rate) => rate.name === name)!.rate);
  print.table(
    ['job', 'rows', 'bad', 'called bad', 'found of the bad'],
    groups[0]!.groups.map((of) => [
      of.group ?? '(missing)',
      of.rows,
      ...['BASE_RATE', 'SELECTION_RATE', 'TRUE_POSITIVE_RATE'].map((name) => share(of, name)),
    ]),
  );
  for (const { name, difference } of against.figures.filter(({ name }) => ['AUC', 'LOG_LOSS'].includes(name)))
    print.say(`${name} minus that of version ${second.number}, on the same rows: ${between(difference)}.`);
  const { version: single } = board.find(({ version }) => !COMBINATIONS.includes(version.algorithm))!;
  const { shap } = await evaluate<'shap'>(print, bank, { modelVersionId: single.id, shap: { rows: 500 } }, SHAPLEY);
  const columns = shap.columns.toSorted((a, b) => b.meanAbsolute - a.meanAbsolute).slice(0, 3);
  const moved = columns.map(({ column, meanAbsolute }) => `${column} ${meanAbsolute.toFixed(2)}`).join(', ');
  print.say(`What moves version ${single.number}, ${single.algorithm}, most (mean |Shapley value|): ${moved}.`);
  const { rows } = metrics;
  const compared = { version: second.number, figures: against.figures };
  const shapley = { version: single.number, algorithm: single.algorithm, rows: shap.rows, columns };
  const scores = { averagePrecision, brier, calibrationError: errorEqualCount };
  const rest = { threshold: thresholds[0], groups: groups[0]!.groups, against: compared, shap: shapley };
  return { version: champion.number, rows, ...scores, ...rest };
}

/** Three penguins, and what LightGBM itself answers for them with the file of the example. */
const PENGUINS = {
  island: ['Torgersen', 'Biscoe', 'Dream'],
  bill_length_mm: [39.1, 46.1, 50],
  bill_depth_mm: [18.7, 13.2, 19.5],
  flipper_length_mm: [181, 211, 196],
  body_mass_g: [3750, 4500, 3900],
  sex: ['male', 'female', 'male'],
};
const LIGHTGBM_SAYS: Record<string, number[]> = {
  Adelie: [0.9758869, 0.0185129, 0.0227359],
  Chinstrap: [0.0093633, 0.0091219, 0.9623772],
  Gentoo: [0.0147498, 0.9723652, 0.0148869],
};
interface Imported {
  id: string;
  source: { library: string };
  parity: { rows: number; edgeRows: number; maxDifference: number };
  test: { rows: number; accuracy: demo.Estimate; logLoss: demo.Estimate };
}

/** A model that was trained elsewhere becomes a version like any other. */
export async function importModel(print: Printer, bank: demo.Party, table: string, model: string): Promise<object> {
  const { owner } = bank;
  const data = await demo.dataset(print, bank, 'Penguins', await demo.send(bank, 'penguins.csv', table));
  const { id: splitId } = await demo.split(print, bank, data.id, 'species');
  const uploadId = await demo.send(bank, 'species_lightgbm.txt', model);
  const input = { uploadId, datasetVersionId: data.id, splitId, target: 'species', modelName: 'Penguin species' };
  const { modelImport } = await owner.change<{ modelImport: { id: string } }>(
    'startImport',
    input,
    'modelImport { id }',
  );
  const fields = `id source { library } parity { rows edgeRows maxDifference }
    test { rows ... on MulticlassMetrics { accuracy ${ESTIMATE} logLoss ${ESTIMATE} } }`;
  const { modelVersion: version } = await finished(print, 'Importing', () =>
    owner.ask<{ job: Job; modelVersion: Imported }>(
      `query Import($id: ID!) { modelImport(id: $id) { ${JOB} modelVersion { ${fields} } } }`,
      modelImport,
    ),
  );
  const { test, parity, source } = version;
  print.say(
    `${source.library}: accuracy ${percent(test.accuracy)} on ${test.rows} test rows, proved on ${parity.rows + parity.edgeRows}.`,
  );
  const endpointId = await demo.deploy(print, bank, 'penguin-species', version.id);
  const { labels, scores } = await demo.predict(owner, { endpointId, columns: PENGUINS });
  const classes = Object.keys(LIGHTGBM_SAYS);
  const largest = Math.max(
    ...classes.flatMap((name) => LIGHTGBM_SAYS[name]!.map((score, i) => Math.abs(score - scores![name]![i]!))),
  );
  const expected = PENGUINS.sex.map((_, i) => classes.find((name) => LIGHTGBM_SAYS[name]![i]! > 0.5)!);
  if (String(labels) !== String(expected) || largest > 1e-5)
    throw new Error(`The imported model answers ${labels!.join(', ')}; LightGBM says ${expected.join(', ')}.`);
  print.say(
    `Three penguins: ${labels!.join(', ')}, as LightGBM itself says; scores differ by ${largest.toExponential(0)} at most.`,
  );
  return { library: source.library, test, parity, labels, expected, largestDifference: largest };
}
