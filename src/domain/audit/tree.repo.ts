import { entryOf, NO_SALT } from './leaf.js';
import { contentTextOf, PREDICTION_COLUMNS, type PredictionRow } from './prediction.js';
import { HASH_BYTES, leafOf, leavesOf, Tree, TILE_WIDTH, type TileReader, TreeHasher } from './tree.js';

/** Runs one statement, on whatever connection, and gives its rows. */
export type Run = <T extends object>(text: string, values?: unknown[]) => Promise<T[]>;

/** The level under which the public entries are kept; level 0 is hashed from them. */
export const ENTRIES = -1;

export interface StoredTile {
  readonly level: number;
  readonly index: number;
  readonly data: Buffer;
}

export interface CheckpointRow {
  readonly origin: string;
  readonly treeSize: number;
  readonly rootHash: Buffer;
  readonly signedAt: Date;
  /** The signed note. */
  readonly note: string;
}

/** How many entries there are. */
export async function countEntries(run: Run): Promise<number> {
  const [row] = await run<{ next: number }>('select next_index as next from audit_log');
  return row!.next;
}

/** The next entries of the log in the order of their indices, from `first` on, each as its 32 public bytes. Stops at a gap. */
export async function readEntries(run: Run, first: number, limit: number): Promise<Buffer[]> {
  const range = [first, first + limit];
  const decisions = await run<{ index: number; salt: Buffer; content: string }>(
    `select log_index as index, salt, content from audit_entry where log_index >= $1 and log_index < $2`,
    range,
  );
  const predictions = await run<PredictionRow>(
    `select ${PREDICTION_COLUMNS} from prediction_entry e join prediction_context c on c.id = e.context_id
     where e.log_index >= $1 and e.log_index < $2`,
    range,
  );
  const found = new Map<number, Buffer>();
  for (const row of predictions) found.set(row.log_index, entryOf(NO_SALT, contentTextOf(row)));
  for (const { index, salt, content } of decisions) found.set(index, entryOf(salt, content));
  const entries: Buffer[] = [];
  for (let entry = found.get(first); entry; entry = found.get(first + entries.length)) entries.push(entry);
  return entries;
}

/** Null where there is no such tile. */
export async function findTile(run: Run, level: number, index: number): Promise<Buffer | null> {
  const [row] = await run<{ data: Buffer }>(`select data from log_tile where level = $1 and index = $2`, [
    level,
    index,
  ]);
  return row?.data ?? null;
}

/** How many entries the tiles hold. */
export async function countTiled(run: Run): Promise<number> {
  const [row] = await run<{ index: number; bytes: number }>(
    `select index, octet_length(data) as bytes from log_tile where level = ${ENTRIES} order by index desc limit 1`,
  );
  return row ? row.index * TILE_WIDTH + row.bytes / HASH_BYTES : 0;
}

export async function findCheckpoint(run: Run): Promise<CheckpointRow | null> {
  const [row] = await run<CheckpointRow>(
    `select origin, tree_size as "treeSize", root_hash as "rootHash", signed_at as "signedAt", note from log_checkpoint`,
  );
  return row ?? null;
}

/** Tiles and the checkpoint over them in one statement: whoever reads the checkpoint finds its tiles. Full tiles replace partial ones. */
export async function storeCheckpoint(run: Run, row: CheckpointRow, tiles: readonly StoredTile[]): Promise<void> {
  await run(
    `with tile as (
       insert into log_tile (level, index, data) select * from unnest($6::smallint[], $7::bigint[], $8::bytea[])
         on conflict (level, index) do update set data = excluded.data
     )
     insert into log_checkpoint (origin, tree_size, root_hash, signed_at, note) values ($1, $2, $3, $4, $5)
       on conflict (singleton) do update set origin = excluded.origin, tree_size = excluded.tree_size, root_hash = excluded.root_hash,
         signed_at = excluded.signed_at, note = excluded.note`,
    [
      row.origin,
      row.treeSize,
      row.rootHash,
      row.signedAt,
      row.note,
      tiles.map(({ level }) => level),
      tiles.map(({ index }) => index),
      tiles.map(({ data }) => data),
    ],
  );
}

/** Hashes of tiles from rows; throws where one is missing. */
export function tileReader(find: (level: number, index: number) => Promise<Buffer | null>): TileReader {
  return async (level, index) => {
    const data = await find(level === 0 ? ENTRIES : level, index);
    if (!data) throw new RangeError(`There is no tile ${index} of level ${level}.`);
    return level === 0 ? leavesOf(data) : data;
  };
}

/** The root of the first `size` entries, `size` of which there must be, from the tiles as far as they go. */
export async function rootOf(run: Run, size: number): Promise<Buffer> {
  if (size <= (await countTiled(run))) return new Tree(tileReader((...of) => findTile(run, ...of))).root(size);
  // A moment's entries: the integrator had read them, and was stopped before it could store them.
  const tree = new TreeHasher();
  for (const entry of await readEntries(run, 0, size)) tree.append(leafOf(entry));
  return tree.root();
}
