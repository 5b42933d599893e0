/** Checked access to a decoded document: what is missing, or of another type, is told by its key. */
import { unreadable } from './problem.js';
import { type ObjectValue, type Value } from './ubjson.js';

export function isObject(value: Value | undefined): value is ObjectValue {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Undefined also for what an object only inherits. */
export function optional(from: ObjectValue, key: string): Value | undefined {
  return Object.hasOwn(from, key) ? from[key] : undefined;
}

export function objectAt(from: ObjectValue, key: string): ObjectValue {
  const value = optional(from, key);
  if (!isObject(value)) throw unreadable(`"${key}" is missing or no object`);
  return value;
}

export function textAt(from: ObjectValue, key: string): string {
  const value = optional(from, key);
  if (typeof value !== 'string') throw unreadable(`"${key}" is missing or no text`);
  return value;
}

export function listAt(from: ObjectValue, key: string): readonly Value[] {
  const value = optional(from, key);
  if (!Array.isArray(value)) throw unreadable(`"${key}" is missing or no list`);
  return value as readonly Value[];
}

/** A number, or the text of one; `otherwise` where there is none. */
export function countAt(from: ObjectValue, key: string, otherwise?: number): number {
  const value = optional(from, key);
  if (value === undefined && otherwise !== undefined) return otherwise;
  const count = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > 2 ** 31 - 1)
    throw unreadable(`"${key}" is missing or no count`);
  return count;
}

/** Numbers, true and false as 1 and 0, null as NaN. `length`: how many there must be. */
export function numbersAt(from: ObjectValue, key: string, length: number | null): Float64Array {
  const value = optional(from, key);
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) throw unreadable(`"${key}" is missing or no list`);
  const list = value as ArrayLike<Value>;
  if (length !== null && list.length !== length) throw unreadable(`"${key}" has another length than it should`);
  const numbers = new Float64Array(list.length);
  for (let i = 0; i < numbers.length; i++) {
    const entry = list[i];
    if (typeof entry !== 'number' && typeof entry !== 'boolean' && entry !== null)
      throw unreadable(`"${key}" holds no numbers`);
    numbers[i] = entry === null ? NaN : Number(entry);
  }
  return numbers;
}

/** Whole numbers of 32 bits. */
export function wholesAt(from: ObjectValue, key: string, length: number | null): Int32Array {
  const numbers = numbersAt(from, key, length);
  const wholes = Int32Array.from(numbers);
  // XGBoost marks what it has deleted by 2^32 - 1 and the like: that wraps, and is looked at nowhere.
  for (let i = 0; i < wholes.length; i++)
    if (wholes[i] !== numbers[i] && wholes[i]! >>> 0 !== numbers[i])
      throw unreadable(`"${key}" holds no whole numbers`);
  return wholes;
}
