import { createHash } from 'node:crypto';
import { type SealedBlob, unsealWhole } from '../../platform/sealing.js';
import { decodeTable, maskRare, type StoredTable } from '../../platform/table-file.js';
import { assignSplit, countSplit, type SplitCounts, type SplitSpec } from '../../ml/split.js';

export interface SplitInput {
  readonly table: SealedBlob;
  readonly split: SplitSpec;
}

export interface SplitResult {
  readonly counts: SplitCounts;
  /** SHA-256 over one byte a row, hex. */
  readonly digest: string;
}

/** For a child process: which row belongs where. Throws SpecError. */
export async function computeSplit({ table, split }: SplitInput): Promise<SplitResult> {
  const stored = decodeTable(await unsealWhole(table), split.column ? [split.column] : []);
  const assignment = assignSplit(stored, split);
  return { counts: countSplit(assignment), digest: digestOf(assignment) };
}

/** What a training's child process gets to read its data with: no database, one key. */
export interface TrainingInput extends SplitInput {
  /** The digest of the split as it was stored. */
  readonly splitDigest: string;
}

/**
 * The table to train on and the part of every row (0 train, 1 validation, 2 test), which must be the one that was stored. The
 * split sees rare values apart; training does not (see `loadTable`). Throws SealError, and an Error if the split has changed.
 */
export async function loadTrainingInput(input: TrainingInput): Promise<{ table: StoredTable; assignment: Uint8Array }> {
  const table = decodeTable(await unsealWhole(input.table));
  const assignment = assignSplit(table, input.split);
  if (digestOf(assignment) !== input.splitDigest) throw new Error('The split is not the one that was stored.');
  maskRare(table);
  return { table, assignment };
}

function digestOf(assignment: Uint8Array): string {
  return createHash('sha256').update(assignment).digest('hex');
}
