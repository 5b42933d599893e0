/** Dates inside the graph, the counterpart of core/calendar.ts: int64 arithmetic, whose division cuts, on numbers that are positive. */
import {
  DATE_PARTS,
  DAY_MS,
  DAYS_FROM_MARCH,
  type DatePart,
  EPOCH_DAY,
  ERA_DAYS,
  HOUR_MS,
  PAST_ERAS,
} from '../core/calendar.js';
import { DataType, type GraphBuilder } from './graph.js';

export const MISSING_DATE = -(2n ** 63n);

/** int64 [N, C] -> bool [N, C]. */
export function exportMissingDates(graph: GraphBuilder, ms: string): string {
  return graph.node('Equal', [ms, graph.constant(BigInt64Array.of(MISSING_DATE), [])]);
}

/** Days since 1970 of date columns: float [N, columns]; NaN is missing. */
export function exportDays(graph: GraphBuilder, columns: readonly string[]): string {
  const ms = graph.concat(columns);
  const days = graph.node('Div', [graph.cast(ms, DataType.double), graph.scalar(DAY_MS)]);
  return orMissing(graph, exportMissingDates(graph, ms), graph.cast(days, DataType.float));
}

function orMissing(graph: GraphBuilder, missing: string, values: string): string {
  return graph.node('Where', [missing, graph.constant(Float32Array.of(NaN), []), values]);
}

/** Feature i is parts[i] of the date columns[i]: float [N, parts]; NaN is missing. */
export function exportDateParts(graph: GraphBuilder, columns: readonly string[], parts: readonly DatePart[]): string {
  const distinct = [...new Set(columns)];
  const made = DATE_PARTS.filter((part) => parts.includes(part));
  const ms = graph.concat(distinct);
  const missing = exportMissingDates(graph, ms);
  const numbers = exportCalendar(graph, ms);
  const all = made.map((part) => orMissing(graph, missing, graph.cast(numbers[part](), DataType.float)));
  const at = parts.map((part, i) => BigInt(made.indexOf(part) * distinct.length + distinct.indexOf(columns[i]!)));
  return graph.node('Gather', [graph.concat(all), graph.constant(BigInt64Array.from(at))], { axis: { int: 1 } });
}

/** What writes the operators of each part, int64; those that parts share are written once. */
function exportCalendar(graph: GraphBuilder, ms: string): Readonly<Record<DatePart, () => string>> {
  const operator =
    (op: string) =>
    (a: string | number, b: string | number): string =>
      graph.node(
        op,
        [a, b].map((v) => (typeof v === 'string' ? v : graph.constant(BigInt64Array.of(BigInt(v)), []))),
      );
  const [add, sub, mul, div] = [operator('Add'), operator('Sub'), operator('Mul'), operator('Div')];
  const once = (make: () => string): (() => string) => {
    let made: string | null = null;
    return () => (made ??= make());
  };
  const start = graph.constant(BigInt64Array.of(BigInt(EPOCH_DAY) * BigInt(DAY_MS)), []);
  const time = once(() => add(ms, start));
  const z = once(() => div(time(), DAY_MS));
  const era = once(() => div(z(), ERA_DAYS));
  const dayOfEra = once(() => sub(z(), mul(era(), ERA_DAYS)));
  const yearOfEra = once(() => {
    const d = dayOfEra();
    return div(sub(add(sub(d, div(d, 1460)), div(d, 36_524)), div(d, 146_096)), 365);
  });
  const dayFromMarch = once(() => {
    const y = yearOfEra();
    return sub(dayOfEra(), sub(add(mul(y, 365), div(y, 4)), div(y, 100)));
  });
  const monthFromMarch = once(() => div(add(mul(dayFromMarch(), 5), 2), 153));
  const isNextYear = once(() => div(monthFromMarch(), 10));
  const year = once(() => add(add(yearOfEra(), mul(era(), 400)), isNextYear()));
  return {
    year: () => sub(year(), 400 * PAST_ERAS),
    month: () => sub(add(monthFromMarch(), 3), mul(isNextYear(), 12)),
    day: () => add(sub(dayFromMarch(), div(add(mul(monthFromMarch(), 153), 2), 5)), 1),
    weekday: () => {
      const shifted = add(z(), 2);
      return add(sub(shifted, mul(div(shifted, 7), 7)), 1);
    },
    dayOfYear: () => {
      const last = sub(year(), 1);
      const leaps = add(sub(div(last, 4), div(last, 100)), div(last, 400));
      return add(sub(z(), add(add(mul(last, 365), leaps), DAYS_FROM_MARCH)), 1);
    },
    hour: () => div(sub(time(), mul(z(), DAY_MS)), HOUR_MS),
  };
}
