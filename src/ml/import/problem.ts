/** What can be wrong with a model file. Messages repeat nothing of it but names of columns and of what is not supported. */
import { SpecError } from '../core/spec-error.js';

/** Damaged, cut off, or no such file at all. `what` completes the sentence. */
export function unreadable(what: string): SpecError {
  return new SpecError('MODEL_UNREADABLE', 'file', `The model file cannot be read: ${what}.`);
}

/** Whole, but with something that has no counterpart here. A sentence. */
export function unsupported(sentence: string): SpecError {
  return new SpecError('MODEL_UNSUPPORTED', 'file', sentence);
}

/** Whole, but not made for these columns. */
export function unfit(field: 'columns' | 'categories' | 'classes' | 'target', sentence: string): SpecError {
  return new SpecError('MODEL_DOES_NOT_FIT', field, sentence);
}

/** A word of the file for a message: short and printable, whatever it is. */
export function quote(word: string): string {
  return `"${word.replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?').slice(0, 60)}"`;
}
