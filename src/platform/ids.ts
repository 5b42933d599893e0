import { v7 } from 'uuid';

/** Every kind of thing that has a public id, and the prefix that its ids carry. */
export const ID_PREFIXES = {
  tenant: 'ten',
  account: 'acc',
  membership: 'mem',
  invitation: 'inv',
  session: 'ses',
  application: 'app',
  apiKey: 'key',
  upload: 'upl',
  blob: 'blb',
  dataset: 'ds',
  datasetVersion: 'dsv',
  split: 'spl',
  job: 'job',
  training: 'trn',
  modelImport: 'imp',
  study: 'stu',
  model: 'mdl',
  modelVersion: 'mdv',
  evaluation: 'evl',
  endpoint: 'end',
  agreement: 'agr',
  signingKey: 'sgk',
  prediction: 'prd',
  request: 'req',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** A new id: prefix, underscore, UUID version 7 (RFC 9562) without dashes, so that ids sort by the time they were made. */
export function newId(kind: IdKind): string {
  return `${ID_PREFIXES[kind]}_${v7().replaceAll('-', '')}`;
}

const ID = /^([a-z]{2,4})_[0-9a-f]{32}$/;
const KINDS = new Map<string, IdKind>(Object.entries(ID_PREFIXES).map(([kind, prefix]) => [prefix, kind as IdKind]));

/** The kind of thing that `id` names by its prefix, or null if it is no id of ours. */
export function kindOf(id: string): IdKind | null {
  return KINDS.get(ID.exec(id)?.[1] ?? '') ?? null;
}
