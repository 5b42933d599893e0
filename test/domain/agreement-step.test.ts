import { describe, expect, it } from 'vitest';
import {
  type AgreementState,
  legalSteps,
  type Party,
  PARTIES,
  type Rules,
  type Situation,
  type Step,
  STEPS,
  suspendedForBreach,
  takeStep,
} from '../../src/domain/agreements/step.js';

const other = (party: Party): Party => (party === 'PROVIDER' ? 'CONSUMER' : 'PROVIDER');
/** Something that happened: a step of a party, with the rules of the terms that it brought; or the platform found a breach. */
interface Happening {
  readonly what: Step | 'breach';
  readonly party: Party;
  readonly rules?: Rules;
}

/**
 * The twin: everything is told from the whole history, each fact by a sentence of its own. Slow and obvious; it keeps no state.
 */
function byTheBook(history: readonly Happening[], offered: Rules) {
  const last = (test: (one: Happening) => boolean) => history.map(test).lastIndexOf(true);
  const after = (from: number, test: (one: Happening) => boolean) => history.slice(from + 1).some(test);
  const is =
    (...what: Happening['what'][]) =>
    (one: Happening) =>
      what.includes(one.what);

  // Versions: the offer, then whatever was proposed. A version is agreed when both have signed between it and the next one.
  const proposals = [-1, ...history.flatMap((one, i) => (is('counter', 'amend')(one) ? [i] : []))];
  const rulesOf = (i: number) => (i === -1 ? offered : history[i]!.rules!);
  const byOf = (i: number): Party => (i === -1 ? 'PROVIDER' : history[i]!.party);
  const signers = (i: number) => {
    const end = proposals.find((next) => next > i) ?? history.length;
    const dropped = history.findIndex((one, at) => at > i && is('reject', 'terminate')(one));
    const span = history.slice(i + 1, Math.min(end, dropped === -1 ? history.length : dropped));
    return span.filter(is('sign')).map(({ party }) => party);
  };
  const agreed = proposals.filter((i) => signers(i).length === 2);
  const newest = proposals.at(-1)!;
  const everInForce = agreed.length > 0;
  const isDropped = after(newest, is('reject', 'terminate'));
  const isEnded = (what: Step) => last(is(what)) !== -1;
  const waits = signers(newest).length < 2 && !isDropped && !isEnded('withdraw');

  const rules = everInForce ? rulesOf(agreed.at(-1)!) : null;
  const whenAgreed = everInForce
    ? history.findIndex((one, i) => i > agreed.at(-1)! && is('sign')(one) && signers(agreed.at(-1)!)[1] === one.party)
    : -1;
  const renews = Boolean(rules?.renews) && !after(whenAgreed, is('stopRenewal'));
  const suspended = PARTIES.filter(
    (p) =>
      last((one) => one.what === 'suspend' && one.party === p) >
      last((one) => one.what === 'resume' && one.party === p),
  );
  const breach = [...history.entries()]
    .reverse()
    .find(
      ([i, one]) =>
        one.what === 'breach' && !after(i, (later) => later.what === 'resume' && later.party === other(one.party)),
    );
  const notices = history.filter(is('terminate'));
  const noticeBy = notices.length > 0 && rules?.needsNotice ? notices[0]!.party : null;
  const terminated = notices.length > 0 && (!rules!.needsNotice || notices.length === 2);

  const state = ((): AgreementState => {
    if (isEnded('settle')) return 'SETTLED';
    if (isEnded('withdraw')) return 'WITHDRAWN';
    if (terminated) return 'TERMINATED';
    if (!everInForce) return 'OFFERED';
    if (suspended.length > 0 || breach) return 'SUSPENDED';
    return noticeBy ? 'TERMINATING' : 'ACTIVE';
  })();
  const stands = state === 'ACTIVE' || state === 'SUSPENDED' || state === 'TERMINATING';
  const may = (step: Step, party: Party): boolean => {
    switch (step) {
      case 'sign':
        return (state === 'OFFERED' || stands) && waits && !signers(newest).includes(party);
      case 'counter':
        return state === 'OFFERED' && byOf(newest) !== party;
      case 'withdraw':
        return state === 'OFFERED';
      case 'amend':
        return stands && !waits && !noticeBy;
      case 'reject':
        return stands && waits;
      case 'suspend':
        return stands && !suspended.includes(party);
      case 'resume':
        return stands && (suspended.includes(party) || (breach !== undefined && breach[1].party !== party));
      case 'stopRenewal':
        return stands && renews && !noticeBy;
      case 'terminate':
        return stands && noticeBy !== party;
      case 'settle':
        return state === 'TERMINATED';
    }
  };
  return { state, may };
}

const RULES: Rules[] = [true, false].flatMap((needsNotice) => [true, false].map((renews) => ({ needsNotice, renews })));
const keyOf = ({ state, open, rules, suspendedBy, breachBy, noticeBy }: Situation) =>
  JSON.stringify([
    state,
    open && [open.by, [...open.signedBy].sort(), open.rules],
    rules,
    [...suspendedBy].sort(),
    breachBy,
    noticeBy,
  ]);

describe('the state machine', () => {
  it('allows exactly the legal steps in every situation that can be reached, from every offer', () => {
    const seen = new Map<string, Happening[]>();
    const queue: { now: Situation; history: Happening[]; offered: Rules }[] = RULES.map((rules) => ({
      now: {
        state: 'OFFERED',
        open: { by: 'PROVIDER', signedBy: [], rules },
        rules: null,
        suspendedBy: [],
        breachBy: null,
        noticeBy: null,
      },
      history: [],
      offered: rules,
    }));
    let steps = 0;
    for (let at = queue.shift(); at; at = queue.shift()) {
      const { now, history, offered } = at;
      const key = keyOf(now);
      if (seen.has(key)) continue;
      seen.set(key, history);
      const twin = byTheBook(history, offered);
      const told = JSON.stringify(history);
      expect(now.state, told).toBe(twin.state);
      // In force means: both have signed, and nobody has suspended it.
      if (now.state === 'ACTIVE')
        expect([now.rules, now.suspendedBy, now.breachBy]).toEqual([expect.anything(), [], null]);
      for (const party of PARTIES) {
        const legal = legalSteps(now, party);
        expect(legal, `${party} after ${told}`).toEqual(
          (Object.keys(STEPS) as Step[]).filter((step) => twin.may(step, party)),
        );
        for (const step of Object.keys(STEPS) as Step[]) {
          if (!legal.includes(step)) {
            expect(() => takeStep(step, now, party)).toThrow(`Cannot ${step}`);
            continue;
          }
          const brought = step === 'counter' || step === 'amend' ? RULES : [undefined];
          for (const rules of brought) {
            steps++;
            const next = takeStep(step, now, party, rules);
            queue.push({ now: next, history: [...history, { what: step, party, ...(rules && { rules }) }], offered });
          }
        }
        const broken = suspendedForBreach(now, party);
        if (broken) queue.push({ now: broken, history: [...history, { what: 'breach', party }], offered });
      }
    }
    expect(seen.size).toBeGreaterThan(500);
    expect(steps).toBeGreaterThan(2000);
    const states = new Set([...seen.keys()].map((key) => (JSON.parse(key) as [string])[0]));
    expect([...states].sort()).toEqual([
      'ACTIVE',
      'OFFERED',
      'SETTLED',
      'SUSPENDED',
      'TERMINATED',
      'TERMINATING',
      'WITHDRAWN',
    ]);
  });
});
