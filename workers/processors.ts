import type { Endings, Processors } from './processor.js';

/** Every job and who does it. */
export const PROCESSORS: Processors = {
  ingest: () => Promise.reject(new Error('not yet')),
  split: () => Promise.reject(new Error('not yet')),
  train: () => Promise.reject(new Error('not yet')),
};

export const ENDINGS: Endings = {};
