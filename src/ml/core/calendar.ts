/**
 * Dates in UTC, by the proleptic Gregorian calendar, in whole numbers only, so that the ONNX graph can count the same
 * (onnx/export-dates.ts). Source: Howard Hinnant, "chrono-compatible low-level date algorithms", 2021.
 *
 * A year begins on 1 March, so that the leap day is its last, and eras of 400 years (146,097 days) are all alike. Days are counted
 * from 1 March of a year far enough in the past for everything to be positive: division then rounds down.
 */
export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

export const DATE_PARTS = ['year', 'month', 'day', 'weekday', 'dayOfYear', 'hour'] as const;
/** month 1-12, day 1-31, weekday 1 (Monday) - 7, dayOfYear 1-366, hour 0-23. */
export type DatePart = (typeof DATE_PARTS)[number];

export const ERA_DAYS = 146_097;
/** Whole eras that lie before 1 March of year 0: dates reach back 100 million days from 1970. */
export const PAST_ERAS = 700;
/** Days from the start of the count to 1970-01-01. */
export const EPOCH_DAY = 719_468 + PAST_ERAS * ERA_DAYS;

/** The part of a whole number of epoch milliseconds; NaN of NaN. */
export function datePart(ms: number, part: DatePart): number {
  if (Number.isNaN(ms)) return NaN;
  const days = daysOf(ms);
  const z = days + EPOCH_DAY;
  if (part === 'hour') return Math.floor((ms - days * DAY_MS) / HOUR_MS);
  if (part === 'weekday') return ((z + 2) % 7) + 1;
  const era = Math.floor(z / ERA_DAYS);
  const dayOfEra = z - era * ERA_DAYS;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayFromMarch = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayFromMarch + 2) / 153);
  if (part === 'day') return dayFromMarch - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const isNextYear = Math.floor(monthFromMarch / 10);
  if (part === 'month') return monthFromMarch + 3 - 12 * isNextYear;
  const year = yearOfEra + 400 * era + isNextYear;
  if (part === 'year') return year - 400 * PAST_ERAS;
  const last = year - 1;
  const newYear = 365 * last + Math.floor(last / 4) - Math.floor(last / 100) + Math.floor(last / 400) + DAYS_FROM_MARCH;
  return z - newYear + 1;
}

/** Days from 1 March to 1 January. */
export const DAYS_FROM_MARCH = 306;

/** floor(ms / DAY_MS), which the quotient of two doubles alone misses far from 1970. */
function daysOf(ms: number): number {
  const days = Math.floor(ms / DAY_MS);
  const rest = ms - days * DAY_MS;
  return rest < 0 ? days - 1 : rest >= DAY_MS ? days + 1 : days;
}
