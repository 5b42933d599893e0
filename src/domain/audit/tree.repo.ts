import type pg from 'pg';
import { entryOf, NO_SALT } from './leaf.js';
import { contentTextOf, PREDICTION_COLUMNS, type PredictionRow } from './prediction.js';
import { HASH_BYTES, leafOf, leavesOf, Tree, TILE_WIDTH, type TileReader, TreeHasher } from './tree.js';

type Queryable = Pick<pg.ClientBase, 'query'>;

/** The level under which the public entries are kept; level 0 is hashed from them. */
export const ENTRIES = -1;

/** The next entries of the log in the order of their indices, from `first` on, each as its 32 public bytes. Stops at a gap. */
export async function readEntries(client: Queryable, first: number, limit: number): Promise<Buffer[]> {
  const values = [first, limit];
  const { rows: decisions } = await client.query<{ index: number; salt: Buffer; content: string }>({
    name: 'log_entries',
    text: `select log_index as index, salt, content from audit_entry where log_index >= $1 order by log_index limit $2`,
    values,
  });
  const { rows: predictions } = await client.query<PredictionRow>({
    name: 'log_predictions',
    text: `select ${PREDICTION_COLUMNS} from prediction_entry e join prediction_context c on c.id = e.context_id
      where e.log_index >= $1 order by e.log_index limit $2`,
    values,
  });
  const found = new Map(predictions.map((row) => [row.log_index, () => entryOf(NO_SALT, contentTextOf(row))]));
  for (const { index, salt, content } of decisions) found.set(index, () => entryOf(salt, content));
  const entries: Buffer[] = [];
  for (let entry = found.get(first); entry && entries.length < limit; entry = found.get(first + entries.length))
    entries.push(entry());
  return entries;
}

/** Null where there is no such tile. */
export async function findTile(client: Queryable, level: number, index: number): Promise<Buffer | null> {
  const { rows } = await client.query<{ data: Buffer }>({
    name: 'log_tile',
    text: `select data from log_tile where level = $1 and index = $2`,
    values: [level, index],
  });
  return rows[0]?.data ?? null;
}

/** How many entries the tiles hold. */
export async function countTiled(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ index: number; bytes: number }>(
    `select index, octet_length(data) as bytes from log_tile where level = ${ENTRIES} order by index desc limit 1`,
  );
  return rows[0] ? rows[0].index * TILE_WIDTH + rows[0].bytes / HASH_BYTES : 0;
}

/** Tiles of hashes from rows; throws where one is missing. */
export function tileReader(find: (level: number, index: number) => Promise<Buffer | null>): TileReader {
  return async (level, index) => {
    const data = await find(level === 0 ? ENTRIES : level, index);
    if (!data) throw new RangeError(`There is no tile ${index} of level ${level}.`);
    return level === 0 ? leavesOf(data) : data;
  };
}

/** The root of the first `size` entries, `size` of which there must be, from the tiles as far as they go. */
export async function rootOf(client: Queryable, size: number): Promise<Buffer> {
  const tiled = await countTiled(client);
  if (size <= tiled) return new Tree(tileReader((level, index) => findTile(client, level, index))).root(size);
  // A moment's entries: the integrator had read them, and was stopped before it could store them.
  const tree = new TreeHasher();
  for (const entry of await readEntries(client, 0, size)) tree.append(leafOf(entry));
  return tree.root();
}
