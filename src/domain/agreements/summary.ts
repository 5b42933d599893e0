import type { AgreedTerms, Disclosure, NoisyDisclosure, TrainingTerm } from './terms.js';

const count = (n: number) => n.toLocaleString('en-GB');
const plural = (n: number, what: string) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;
const words = (name: string) => name.toLowerCase().replaceAll('_', ' ');

/** The terms as a person would want to read them: what is set, and nothing of what is not. */
export function summarise(terms: AgreedTerms): string {
  const { period, disclosure, training } = terms;
  const limits = limitsOf(terms);
  const first =
    `From ${period.from.slice(0, 16)} until ${period.until.slice(0, 16)} UTC, for ${terms.purposes.map(words).join(', ')}: ` +
    (disclosure
      ? `${limits.length > 0 ? limits.join(', ') : 'without a limit of rows'}; answers tell ${told(disclosure)}${explained(terms)}.`
      : learned(training!));
  return [first, ...askers(terms), ...dataUse(terms), ...promises(terms), ...ending(terms)].join(' ');
}

function learned({ columns, mayOffer, offerUntil }: TrainingTerm): string {
  const from = columns === null ? 'all columns' : plural(columns.length, 'column');
  const until = offerUntil === null ? '' : ` until ${offerUntil.slice(0, 16)} UTC`;
  return `to train on ${from}, without seeing a row; what was learned may ${mayOffer ? `be offered to others${until}` : 'not be offered to others'}.`;
}

function limitsOf({ rowsPerSecond, rowsPerDay, rowsPerMonth, rowsInTotal, concurrentRequests }: AgreedTerms): string[] {
  const atMost = (n: number | null, unit: string) => (n === null ? [] : [`at most ${plural(n, 'row')} ${unit}`]);
  return [
    ...atMost(rowsPerSecond, 'a second'),
    ...atMost(rowsPerDay, 'a day (UTC)'),
    ...atMost(rowsPerMonth, 'a month (UTC)'),
    ...atMost(rowsInTotal, 'in total'),
    ...(concurrentRequests === null ? [] : [`at most ${plural(concurrentRequests, 'request')} at once`]),
  ];
}

function told(disclosure: Disclosure): string {
  if (disclosure.kind === 'LABEL_ONLY') return 'the label only';
  const rounded = `rounded to ${plural(disclosure.digits, 'decimal')}`;
  switch (disclosure.kind) {
    case 'SCORES':
      return `labels and scores ${rounded}`;
    case 'TOP_K':
      return `labels and the ${disclosure.k === 1 ? 'highest score' : `${disclosure.k} highest scores`} ${rounded}`;
    case 'ABOVE':
      return `scores from ${disclosure.threshold} on ${rounded}, and labels of such scores`;
    case 'NOISY':
      return `${noisy(disclosure)} (epsilon ${disclosure.epsilonMilliPerRow / 1000} a row, ${disclosure.budgetMilli / 1000} in total)`;
  }
}

function noisy({ digits, lower, upper }: NoisyDisclosure): string {
  const rounded = `rounded to ${plural(digits, 'decimal')}`;
  if (lower !== undefined) return `values from ${lower} to ${upper} ${rounded}, with noise`;
  return digits === 0 ? 'labels with noise' : `labels and their scores ${rounded}, both with noise`;
}

function explained({ explanations }: AgreedTerms): string {
  if (explanations.kind === 'NONE') return '';
  return explanations.kind === 'FULL'
    ? ', and explain fully'
    : `, and name ${plural(explanations.k, 'column')} that moved each most`;
}

function askers({ regions, applications, devices }: AgreedTerms): string[] {
  return [
    ...(regions === null ? [] : [`Answered in ${regions.join(', ')} only.`]),
    ...(applications === null ? [] : [`Asked by ${plural(applications.length, 'named application')} only.`]),
    ...(devices === null
      ? []
      : [
          `${devices.most === null ? 'Devices' : `At most ${plural(devices.most, 'device')}`} may ask, ${
            devices.proof === 'REQUIRED'
              ? 'and nobody without a proof of possession'
              : 'with or without a proof of possession'
          }.`,
        ]),
  ];
}

function dataUse({ dataUse: { keepInputsDays, trainOnInputs, trainOnFeedback } }: AgreedTerms): string[] {
  const allowed = [
    ...(keepInputsDays > 0 ? [`keep inputs for ${plural(keepInputsDays, 'day')}`] : []),
    ...(trainOnInputs ? ['train on inputs'] : []),
    ...(trainOnFeedback ? ['train on feedback'] : []),
  ];
  return allowed.length === 0 ? [] : [`The provider may ${allowed.join(', ')}.`];
}

function promises({ delivery, price }: AgreedTerms): string[] {
  const promised = delivery && [
    ...(delivery.p95LatencyMs === null
      ? []
      : [`95 of 100 answers within ${plural(delivery.p95LatencyMs, 'millisecond')}`]),
    ...(delivery.availabilityBasisPoints === null
      ? []
      : [`availability of ${delivery.availabilityBasisPoints / 100} %`]),
    ...(delivery.jobDeadlineMinutes === null ? [] : [`jobs within ${plural(delivery.jobDeadlineMinutes, 'minute')}`]),
  ];
  return [
    ...(promised && delivery
      ? [
          `The provider promises ${promised.join(', ')}${
            delivery.creditBasisPoints === 0 ? '' : `, or credits ${delivery.creditBasisPoints / 100} % of the month`
          }.`,
        ]
      : []),
    ...(price ? [`1,000 rows cost ${count(price.minorUnitsPerThousandRows)} minor units of ${price.currency}.`] : []),
  ];
}

function ending({ noticeDays, renewal, governingLaw, text }: AgreedTerms): string[] {
  return [
    ...(renewal ? [`Renewed by ${plural(renewal.months, 'month')} at a time, unless a party objects.`] : []),
    ...(noticeDays > 0 ? [`Ended with ${plural(noticeDays, 'day')} of notice.`] : []),
    ...(governingLaw === null ? [] : [`Governing law: ${governingLaw}.`]),
    ...(text === null ? [] : ['More is said in words.']),
  ];
}
