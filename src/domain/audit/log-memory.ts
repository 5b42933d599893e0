import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** What was signed last, kept beside the database: it tells a database that was put back to an earlier state. */
export interface Remembered {
  readonly origin: string;
  readonly treeSize: number;
  /** Hexadecimal. */
  readonly rootHash: string;
  /** The checkpoint as it was signed: evidence, should the log be asked why it goes on under another name. */
  readonly note: string | null;
}

/** Marks of processes that are long gone are cleared away. */
const STALE_MS = 7 * 86_400_000;
const MARK_BYTES = 512;

/**
 * The folder `log-memory` of the home: the last checkpoint, and per process the first index that it has not signed yet. Not to be
 * restored with a backup, nor kept in one; docs/operations.md says so. Written without fsync: what survives the process is enough,
 * because a database that survives the machine is ahead of this, not behind.
 */
export class LogMemory {
  private readonly folder: string;
  private readonly mark: string;
  private file: number | null = null;

  constructor(home: string) {
    this.folder = join(home, 'log-memory');
    this.mark = `signed-${hostname()}-${process.pid}`;
  }

  /**
   * Which memory this is, 16 hexadecimal digits. A copy of the folder is another memory, and knows nothing: it lies elsewhere on the disk
   * and was born later than its file says. Call it while no other process does.
   */
  identify(): string {
    const name = 'identity.json';
    const file = join(this.folder, name);
    const text = this.readIfThere(name);
    const known = text === null ? null : (JSON.parse(text) as { memory: string; place: string });
    if (known && known.place === placeOf(statSync(file, { bigint: true }))) return known.memory;
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const memory = randomBytes(8).toString('hex');
    const draft = `${file}.${process.pid}`;
    const made = openSync(draft, 'w', 0o600);
    writeSync(made, JSON.stringify({ memory, place: placeOf(fstatSync(made, { bigint: true })) }));
    closeSync(made);
    renameSync(draft, file);
    return memory;
  }

  /** Null where nothing is remembered. */
  read(): Remembered | null {
    const text = this.readIfThere('checkpoint.json');
    return text === null ? null : (JSON.parse(text) as Remembered);
  }

  /** The first index below which every index may have been signed in a receipt under this name. */
  signedBelow(origin: string): number {
    let below = 0;
    for (const name of this.marks()) {
      const [index, of] = (this.readIfThere(name) ?? '').trim().split(' ');
      if (of === origin) below = Math.max(below, Number(index));
    }
    return below;
  }

  remember(checkpoint: Remembered): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const file = join(this.folder, 'checkpoint.json');
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, `${JSON.stringify(checkpoint, null, 2)}\n`, { mode: 0o600 });
    renameSync(draft, file);
  }

  /** Before the signature of a receipt over indices below `index` leaves. Microseconds: the page cache outlives a kill -9. */
  markSigned(origin: string, index: number): void {
    if (this.file === null) {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      this.file = openSync(join(this.folder, this.mark), constants.O_RDWR | constants.O_CREAT, 0o600);
    }
    // Always as long: it is written over in place.
    writeSync(this.file, `${`${index} ${origin}`.padEnd(MARK_BYTES - 1)}\n`, 0);
  }

  close(): void {
    if (this.file !== null) closeSync(this.file);
    this.file = null;
  }

  /** Removes marks that the remembered checkpoint has long covered. */
  tidy(now: Date): void {
    for (const name of this.marks()) {
      const file = join(this.folder, name);
      if (name !== this.mark && now.getTime() - statSync(file).mtimeMs > STALE_MS) rmSync(file, { force: true });
    }
  }

  private marks(): string[] {
    try {
      return readdirSync(this.folder).filter((name) => name.startsWith('signed-'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  private readIfThere(name: string): string | null {
    try {
      return readFileSync(join(this.folder, name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }
}

/** Keeps through a renaming of the file or of what it lies in, not through a copy. */
function placeOf({ ino, birthtimeNs }: { readonly ino: bigint; readonly birthtimeNs: bigint }): string {
  return `${ino} ${birthtimeNs}`;
}
