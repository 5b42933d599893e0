import { describe, expect, it } from 'vitest';
import { enforcementOf } from '../../src/domain/agreements/enforcement.js';
import { summarise } from '../../src/domain/agreements/summary.js';
import {
  DEFAULT_TERMS,
  type Disclosure,
  disclosureMisfit,
  parseTerms,
  readTerms,
  TERM_NAMES,
  type Terms,
} from '../../src/domain/agreements/terms.js';

const LEAST = {
  purposes: ['CREDIT'],
  period: { from: '2030-01-01T00:00:00Z', until: '2031-01-01T00:00:00Z' },
  disclosure: { kind: 'LABEL_ONLY' },
};
const APP = `app_${'1'.repeat(32)}`;
const NOISY = { kind: 'NOISY', epsilonMilliPerRow: 500, digits: 2, budgetMilli: 1_000_000 };
const FULLEST = {
  ...LEAST,
  rowsPerSecond: 10,
  rowsPerDay: 1000,
  rowsPerMonth: 10_000,
  rowsInTotal: 100_000,
  concurrentRequests: 4,
  disclosure: { kind: 'TOP_K', k: 2, digits: 3 },
  regions: ['eu-west', 'eu-central'],
  applications: [APP],
  devices: { proof: 'REQUIRED', most: 3 },
  explanations: { kind: 'TOP_K', k: 3 },
  dataUse: { keepInputsDays: 30, trainOnInputs: true, trainOnFeedback: true },
  delivery: { p95LatencyMs: 200, availabilityBasisPoints: 9950, jobDeadlineMinutes: null, creditBasisPoints: 1000 },
  price: { currency: 'EUR', minorUnitsPerThousandRows: 250 },
  noticeDays: 30,
  renewal: { months: 12 },
  governingLaw: 'The law of Portugal',
  text: 'Both parties mean well.\nAnd say so.',
};
const codeOf = (change: object): string | undefined => {
  try {
    parseTerms({ ...FULLEST, ...change });
    return undefined;
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as { field: string }).field}`;
  }
};

describe('terms', () => {
  it('have defaults for what is left out, and all keys are written into the document', () => {
    const terms = parseTerms(LEAST);
    expect(terms).toMatchObject(DEFAULT_TERMS);
    expect(Object.keys(terms).sort()).toEqual([...TERM_NAMES].sort());
  });

  it('are whole, normal and the same when parsed again', () => {
    const terms = parseTerms(FULLEST);
    expect(terms.regions).toEqual(['eu-central', 'eu-west']);
    expect(parseTerms(JSON.parse(JSON.stringify(terms)))).toEqual(terms);
  });

  it('signed before a term existed are read with its default', () => {
    const old = { ...LEAST, rowsPerDay: 5, rowsInTotal: null } as unknown as Terms;
    expect(readTerms(old)).toEqual({ ...DEFAULT_TERMS, ...old });
  });

  it.each([
    [{ unknown: 1 }, 'input.terms'],
    [{ rowsPerSecond: 0 }, 'input.terms.rowsPerSecond'],
    [{ rowsPerMonth: 1e12 + 1 }, 'input.terms.rowsPerMonth'],
    [{ concurrentRequests: 1.5 }, 'input.terms.concurrentRequests'],
    [{ disclosure: { kind: 'TOP_K', k: 21, digits: 1 } }, 'input.terms.disclosure.k'],
    [{ disclosure: { kind: 'ABOVE', threshold: 0.1234567, digits: 1 } }, 'input.terms.disclosure.threshold'],
    [{ disclosure: { kind: 'ABOVE', threshold: NaN, digits: 1 } }, 'input.terms.disclosure.threshold'],
    [{ disclosure: { ...NOISY, digits: 4 } }, 'input.terms.disclosure.digits'],
    [{ disclosure: { ...NOISY, lower: 1 } }, 'input.terms.disclosure'],
    [{ disclosure: { ...NOISY, lower: 1, upper: 1 } }, 'input.terms.disclosure'],
    [{ disclosure: { ...NOISY, threshold: 0.5 } }, 'input.terms.disclosure'],
    [{ disclosure: { ...NOISY, lower: 0, upper: 0.001 } }, 'input.terms.disclosure'],
    [{ disclosure: { ...NOISY, lower: 0, upper: 2e7 } }, 'input.terms.disclosure'],
    [{ disclosure: { ...NOISY, lower: 1e14 - 1, upper: 1e14 } }, 'input.terms.disclosure'],
    [{ disclosure: NOISY }, 'input.terms.explanations'],
    [{ explanations: { kind: 'FULL' } }, 'input.terms.explanations'],
    [{ regions: [] }, 'input.terms.regions'],
    [{ regions: ['EU west'] }, 'input.terms.regions.0'],
    [{ applications: ['somebody'] }, 'input.terms.applications.0'],
    [{ devices: { proof: 'MAYBE', most: null } }, 'input.terms.devices.proof'],
    [{ explanations: { kind: 'FULL', k: 1 } }, 'input.terms.explanations'],
    [{ dataUse: { keepInputsDays: 0, trainOnInputs: true, trainOnFeedback: false } }, 'input.terms.dataUse'],
    [{ delivery: { ...FULLEST.delivery, p95LatencyMs: null, availabilityBasisPoints: null } }, 'input.terms.delivery'],
    [{ price: { currency: 'euro', minorUnitsPerThousandRows: 1 } }, 'input.terms.price.currency'],
    [{ noticeDays: -1 }, 'input.terms.noticeDays'],
    [{ renewal: { months: 0 } }, 'input.terms.renewal.months'],
    [{ text: 'left‮right' }, 'input.terms.text'],
  ])('%j are refused, naming what is at fault', (change, field) => {
    expect(codeOf(change)).toBe(`INVALID_INPUT ${field}`);
  });

  it('are no list and no text', () => {
    for (const value of [null, [], 'terms', 1]) expect(() => parseTerms(value)).toThrow('cannot be offered');
  });

  it('are each enforced or visibly not, if they are set', () => {
    const all = enforcementOf(parseTerms(FULLEST));
    // What may be learned is a term of dataset versions.
    expect(all.map(({ term }) => term)).toEqual(TERM_NAMES.filter((term) => term !== 'training'));
    for (const { sentence } of all) expect(sentence).toMatch(/\.$/);
    expect(all.find(({ term }) => term === 'text')?.status).toBe('NOT_ENFORCED');
    expect(enforcementOf(parseTerms(LEAST)).map(({ term }) => term)).toEqual([
      'purposes',
      'period',
      'disclosure',
      'explanations',
      'dataUse',
    ]);
  });

  it('are told in words', () => {
    expect(summarise(parseTerms(LEAST))).toBe(
      'From 2030-01-01T00:00 until 2031-01-01T00:00 UTC, for credit: without a limit of rows; answers tell the label only.',
    );
    const text = summarise(parseTerms(FULLEST));
    for (const words of [
      '10 rows a second',
      'a month (UTC)',
      '4 requests at once',
      'the 2 highest scores rounded to 3 decimals',
      'eu-central, eu-west',
      '1 named application',
      'At most 3 devices',
      'name 3 columns that moved each most',
      'keep inputs for 30 days',
      'within 200 milliseconds',
      'availability of 99.5 %',
      'credits 10 %',
      '250 minor units of EUR',
      'Renewed by 12 months',
      '30 days of notice',
      'The law of Portugal',
    ])
      expect(text).toContain(words);
    const told = (disclosure: object) => summarise(parseTerms({ ...LEAST, disclosure }));
    expect(told(NOISY)).toContain(
      'labels and their scores rounded to 2 decimals, both with noise (epsilon 0.5 a row, 1000 in total)',
    );
    expect(told({ ...NOISY, digits: 0 })).toContain('tell labels with noise (');
    expect(told({ ...NOISY, lower: -1, upper: 5 })).toContain('values from -1 to 5 rounded to 2 decimals, with noise');
    expect(told({ kind: 'ABOVE', threshold: 0.5, digits: 1 })).toContain(
      'scores from 0.5 on rounded to 1 decimal, and labels of such',
    );
  });
});

it('a rule of disclosure fits a task or says why not', () => {
  const noisy = { kind: 'NOISY', epsilonMilliPerRow: 1, digits: 1, budgetMilli: 1 } as const;
  const bounded = { ...noisy, lower: 0, upper: 1 };
  const all: Disclosure[] = [
    { kind: 'LABEL_ONLY' },
    { kind: 'TOP_K', k: 1, digits: 1 },
    { kind: 'SCORES', digits: 1 },
    { kind: 'ABOVE', threshold: 0.5, digits: 1 },
    noisy,
    bounded,
  ];
  expect(all.filter((rule) => disclosureMisfit(rule, 'regression') === null)).toEqual([all[2], bounded]);
  expect(all.filter((rule) => disclosureMisfit(rule, 'binary') === null)).toEqual(all.slice(0, 5));
});
