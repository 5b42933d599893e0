import { describe, expect, it } from 'vitest';
import { checkConstraints, type Constraints } from '../../src/ml/core/constraint.js';

const columns = [
  { name: 'age', kind: 'number' },
  { name: 'since', kind: 'date' },
  { name: 'city', kind: 'category' },
] as const;
const taker = { description: '', parameters: [], takesConstraints: true };
const rising = (column: string) => ({ column, direction: 'INCREASING' }) as const;

describe('constraints', () => {
  it.each<[string, Constraints, string, string]>([
    ['of an unknown column', { monotone: [rising('size')] }, 'UNKNOWN_COLUMN', 'constraints.monotone.0.column'],
    [
      'of a category',
      { monotone: [rising('age'), rising('city')] },
      'WRONG_COLUMN_KIND',
      'constraints.monotone.1.column',
    ],
    ['of two minds', { monotone: [rising('age'), rising('age')] }, 'DUPLICATE_COLUMN', 'constraints.monotone.1.column'],
    ['of an unknown group', { interactions: [['age'], ['size']] }, 'UNKNOWN_COLUMN', 'constraints.interactions.1'],
    ['of an empty group', { interactions: [[]] }, 'BAD_PARAMETER', 'constraints.interactions.0'],
    ['twice in a group', { interactions: [['age', 'age']] }, 'DUPLICATE_COLUMN', 'constraints.interactions.0'],
  ])('%s are refused', (_name, constraints, code, field) => {
    expect(() => checkConstraints(constraints, taker, columns)).toThrow(expect.objectContaining({ code, field }));
  });

  it('are refused by whoever cannot keep to them, unless there are none', () => {
    const none = { description: '', parameters: [] };
    expect(() => checkConstraints({ monotone: [rising('age')] }, none, columns)).toThrow(/cannot be held/);
    checkConstraints({ monotone: [], interactions: null }, none, columns);
    checkConstraints({ monotone: [rising('age'), rising('since')], interactions: [['city', 'age']] }, taker, columns);
  });
});
