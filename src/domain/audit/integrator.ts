import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Clock } from '../../platform/clock.js';
import type { Logger } from '../../platform/log.js';
import { INTEGRATOR } from './log-key.repo.js';
import { type LogKeys, runOn } from './log-key.service.js';
import { type Checkpoint, checkpointText, signatureLine } from './note.js';
import type { PublicEntry, RecentEntries } from './recent-entries.js';
import {
  countEntries,
  countTiled,
  ENTRIES,
  findCheckpoint,
  findTile,
  readEntries,
  type Run,
  storeCheckpoint,
  type StoredTile,
  tileReader,
} from './tree.repo.js';
import { HASH_BYTES, leafOf, subtree, TILE_WIDTH, Tree, TreeHasher } from './tree.js';

/** Between two looks at the log. Each checkpoint is a signature, a file and a page or two of WAL, which busy entries pay for. */
const PAUSE_MS = 100;
/** Between two attempts to become the one integrator of the cluster. */
const STANDBY_MS = 250;
const FAILED_MS = 1000;
/** Entries of one checkpoint at most; whoever is further behind signs several. */
const MOST_ENTRIES = 4096;
/** Entries hashed before others may have a turn. */
const PER_TURN = 256;
/** Any number that no other lock of ours has. */
const INTEGRATOR_LOCK = 4711_1816;

/**
 * Builds the tree of the log and signs its checkpoints: every process has an integrator, and the one that holds the advisory lock
 * works. The lock ends with the connection that holds it, and everything is written on that connection: whoever has lost the lock
 * can write nothing more.
 */
export class Integrator {
  private closing = new AbortController();
  private ended: Promise<void> = Promise.resolve();

  /** `url`: the database as the ledger's role. */
  constructor(
    private readonly url: string,
    private readonly parts: {
      readonly keys: LogKeys;
      readonly recent: RecentEntries;
      readonly clock: Clock;
      readonly log: Logger;
    },
  ) {}

  start(): void {
    this.closing = new AbortController();
    this.ended = this.loop();
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.ended;
  }

  private async loop(): Promise<void> {
    while (!this.closing.signal.aborted) {
      const client = new pg.Client({
        connectionString: this.url,
        application_name: `${INTEGRATOR} ${this.parts.keys.usedMemory}`,
        keepAlive: true,
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await this.standBy(client);
        await this.work(runOn(client));
      } catch (error) {
        // What is between the tables and the tree is a matter for the operator; a lost connection passes.
        if (!this.closing.signal.aborted) this.parts.log.error({ err: error }, 'the log is not integrated');
        await this.pause(FAILED_MS);
      } finally {
        this.parts.recent.end();
        await client.end().catch(() => undefined);
      }
    }
  }

  private async standBy(client: pg.Client): Promise<void> {
    // A holder that vanished with its machine must not keep the lock for the two hours that are usual.
    await client.query(`set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3`);
    while (!this.closing.signal.aborted) {
      const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [
        INTEGRATOR_LOCK,
      ]);
      if (rows[0]!.held) return;
      await this.pause(STANDBY_MS);
    }
  }

  private async work(run: Run): Promise<void> {
    const { keys, recent } = this.parts;
    recent.begin();
    // The connection may be to a database that was put back meanwhile.
    await keys.settle();
    const growing = await GrowingTree.load(run);
    const last = await findCheckpoint(run);
    if (last && (last.treeSize !== growing.size || !last.rootHash.equals(growing.root())))
      throw new Error('The tiles of the log are not those of its last checkpoint: nothing more is signed.');
    let signed = last && `${last.origin} ${last.treeSize} ${keyIdIn(last.note)}`;
    while (!this.closing.signal.aborted) {
      const waiting = (await countEntries(run)) - growing.size;
      if (waiting < 0) throw new Error('The log has fewer entries than its tiles.');
      const wanted = Math.min(waiting, MOST_ENTRIES);
      const known = recent.from(growing.size, wanted);
      const entries = known.length > 0 || wanted === 0 ? known : await this.read(run, growing.size, wanted);
      for (let at = 0; at < entries.length; at += PER_TURN) {
        for (const entry of entries.slice(at, at + PER_TURN)) growing.append(entry);
        await turn();
      }
      const signature = `${keys.origin} ${growing.size} ${keys.current().id}`;
      if (signature !== signed) await this.sign(run, growing);
      signed = signature;
      if (waiting > entries.length) continue;
      await this.pause(PAUSE_MS);
    }
  }

  private async read(run: Run, first: number, count: number): Promise<PublicEntry[]> {
    const entries = await readEntries(run, first, count);
    if (entries.length < count) throw new Error(`The entry ${first + entries.length} of the log is missing.`);
    return entries.map((entry) => ({ entry, leaf: leafOf(entry) }));
  }

  /** Remembered outside of the database first, then shown: what anybody has seen is remembered. */
  private async sign(run: Run, growing: GrowingTree): Promise<void> {
    const { keys, clock } = this.parts;
    const { origin } = keys;
    const checkpoint: Checkpoint = { origin, treeSize: growing.size, rootHash: growing.root() };
    const note = signedNote(checkpoint, keys);
    keys.remember({ origin, treeSize: growing.size, rootHash: checkpoint.rootHash.toString('hex'), note });
    await storeCheckpoint(run, { ...checkpoint, signedAt: clock.now(), note }, growing.takeChanged());
  }

  private async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.closing.signal }).catch(() => undefined);
  }
}

/** The checkpoint as a note with the signature of the log's present key. */
export function signedNote(checkpoint: Checkpoint, keys: LogKeys): string {
  const text = checkpointText(checkpoint);
  const { id, sign } = keys.current();
  return `${text}\n${signatureLine(checkpoint.origin, id, sign(text))}`;
}

function keyIdIn(note: string): string {
  return Buffer.from(note.trimEnd().split(' ').at(-1)!, 'base64').toString('hex', 0, 4);
}

interface EdgeTile {
  readonly index: number;
  readonly hashes: Buffer[];
  /** Whether it is wider than what is stored. */
  isWider: boolean;
}

/** The right edge of the tree: its hash, and the tile of each level that is not full yet. */
class GrowingTree {
  /** By level, ENTRIES first and 0 second. */
  private readonly edge = new Map<number, EdgeTile>();
  private readonly changed = new Map<string, StoredTile>();

  private constructor(private hasher: TreeHasher) {}

  static async load(run: Run): Promise<GrowingTree> {
    const read = tileReader((level, index) => findTile(run, level, index));
    const size = await countTiled(run);
    const growing = new GrowingTree(await TreeHasher.resume(new Tree(read), size));
    for (let [level, width] = [0, size]; width > 0; level++, width = Math.floor(width / TILE_WIDTH)) {
      const index = Math.floor(width / TILE_WIDTH);
      const count = width % TILE_WIDTH;
      const edge = (tile: Buffer | null) => ({ index, hashes: tile ? hashesOf(tile, count) : [], isWider: false });
      growing.edge.set(level, edge(count > 0 ? await read(level, index) : null));
      if (level === 0) growing.edge.set(ENTRIES, edge(count > 0 ? await findTile(run, ENTRIES, index) : null));
    }
    return growing;
  }

  get size(): number {
    return this.hasher.size;
  }

  root(): Buffer {
    return this.hasher.root();
  }

  append({ entry, leaf }: PublicEntry): void {
    this.hasher.append(leaf);
    this.add(ENTRIES, entry);
    this.add(0, leaf);
  }

  /** The tiles that are new or wider than at the last call. Level 0 follows from the entries and is not among them. */
  takeChanged(): StoredTile[] {
    for (const [level, tile] of this.edge) this.keep(level, tile);
    const tiles = [...this.changed.values()];
    this.changed.clear();
    return tiles;
  }

  private add(level: number, hash: Buffer): void {
    const tile = this.edge.get(level) ?? { index: 0, hashes: [], isWider: false };
    this.edge.set(level, tile);
    tile.hashes.push(hash);
    tile.isWider = true;
    if (tile.hashes.length < TILE_WIDTH) return;
    this.keep(level, tile);
    if (level === 0) this.add(1, this.hasher.lastTile);
    else if (level !== ENTRIES) this.add(level + 1, subtree(Buffer.concat(tile.hashes), 0, TILE_WIDTH));
    this.edge.set(level, { index: tile.index + 1, hashes: [], isWider: false });
  }

  private keep(level: number, tile: EdgeTile): void {
    if (level !== 0 && tile.isWider)
      this.changed.set(`${level}/${tile.index}`, { level, index: tile.index, data: Buffer.concat(tile.hashes) });
    tile.isWider = false;
  }
}

function hashesOf(tile: Buffer, count: number): Buffer[] {
  if (tile.length !== count * HASH_BYTES) throw new Error('A tile of the log is not as wide as it must be.');
  return Array.from({ length: count }, (_, at) => tile.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
}
