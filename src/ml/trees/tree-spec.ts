/** Hyper-parameters that kinds of trees share. */

export const minSamplesLeaf = (value: number) =>
  ({
    name: 'minSamplesLeaf',
    type: 'INT',
    min: 1,
    max: 100_000,
    default: value,
    description: 'Fewest training rows that a leaf may hold.',
  }) as const;

export const maxDepth = (value: number) =>
  ({
    name: 'maxDepth',
    type: 'INT',
    min: 0,
    max: 64,
    default: value,
    description: 'Most splits between the root and a leaf; 0 sets no limit.',
  }) as const;

export const maxBins = {
  name: 'maxBins',
  type: 'INT',
  min: 2,
  max: 255,
  default: 255,
  description: 'Most bins that the values of a number column are gathered into before splits are searched.',
} as const;

export const catSmooth = (value: number) =>
  ({
    name: 'catSmooth',
    type: 'FLOAT',
    min: 0,
    max: 10_000,
    default: value,
    description:
      'Where a node holds more than four categories: rows of pull towards zero when they are put in order, and the fewest rows with which one is split off.',
  }) as const;

export const catL2 = (value: number) =>
  ({
    name: 'catL2',
    type: 'FLOAT',
    min: 0,
    max: 10_000,
    default: value,
    description: 'L2 penalty added when a split divides more than four categories.',
  }) as const;

export const leafSmooth = (value: number) =>
  ({
    name: 'leafSmooth',
    type: 'FLOAT',
    min: 0,
    max: 10_000,
    default: value,
    description:
      'Classes only: rows with which the shares of the classes in all rows count in every leaf, so that no leaf of few rows is certain.',
  }) as const;

export const minSamplesSplit = {
  name: 'minSamplesSplit',
  type: 'INT',
  min: 2,
  max: 100_000,
  default: 2,
  description: 'Fewest training rows that a node must hold to be split.',
} as const;
