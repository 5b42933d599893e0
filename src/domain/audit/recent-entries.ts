/** What is public of an entry, and its leaf in the tree; 32 bytes each. */
export interface PublicEntry {
  readonly entry: Buffer;
  readonly leaf: Buffer;
}

/** Of a few seconds at full load. */
const MOST_ENTRIES = 65_536;

/**
 * The entries that this process has just recorded, for its integrator: what is known need not be read again. Reading them back, with
 * their contexts, costs as much as recording them. Only committed entries come here, and nothing is kept unless the integrator of this
 * process is the one that works.
 */
export class RecentEntries {
  /** In the order of their indices. */
  private flushes: { readonly firstIndex: number; readonly entries: readonly PublicEntry[] }[] = [];
  private size = 0;
  private isWanted = false;

  /** From here on, what is recorded is kept; what was kept before may be of another state of the database. */
  begin(): void {
    this.end();
    this.isWanted = true;
  }

  end(): void {
    this.isWanted = false;
    this.flushes = [];
    this.size = 0;
  }

  /** Of successive indices. */
  add(firstIndex: number, entries: readonly PublicEntry[]): void {
    if (!this.isWanted) return;
    this.flushes.push({ firstIndex, entries });
    this.size += entries.length;
    while (this.size > MOST_ENTRIES) this.drop();
  }

  /** Those from `index` on that follow each other, `limit` at most; none if the first is not known. What comes before is forgotten. */
  from(index: number, limit: number): PublicEntry[] {
    const found: PublicEntry[] = [];
    for (const { firstIndex, entries } of this.flushes) {
      const next = index + found.length;
      if (firstIndex > next || found.length === limit) break;
      found.push(...entries.slice(next - firstIndex, next - firstIndex + limit - found.length));
    }
    for (let [first] = this.flushes; first && first.firstIndex + first.entries.length <= index; [first] = this.flushes)
      this.drop();
    return found;
  }

  private drop(): void {
    this.size -= this.flushes.shift()!.entries.length;
  }
}
