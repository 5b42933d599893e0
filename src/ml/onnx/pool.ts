/**
 * Loaded models by digest, within a budget of bytes: the one unused for longest goes first. A model in use stays: whoever acquires
 * one holds a lease. The latest stays too, so that one larger than the whole budget is not loaded anew for every request.
 */
import { loadModel, type LoadedModel } from './session.js';

export interface Lease {
  readonly model: LoadedModel;
  /** Gives the model back; further calls do nothing. */
  release(): void;
}

interface Entry {
  readonly loading: Promise<LoadedModel>;
  model: LoadedModel | null;
  leases: number;
  evicted: boolean;
}

class OpenLease implements Lease {
  private isOpen = true;

  constructor(
    readonly model: LoadedModel,
    private readonly giveBack: () => void,
  ) {}

  release(): void {
    if (this.isOpen) this.giveBack();
    this.isOpen = false;
  }
}

export class SessionPool {
  /** A Map keeps the order of insertion: the first entry is the one unused for longest. */
  private readonly entries = new Map<string, Entry>();
  private bytes = 0;

  constructor(private readonly budgetBytes: number) {}

  /** Bytes of the models held, and how many they are. */
  get stats(): { readonly sizeBytes: number; readonly models: number } {
    return { sizeBytes: this.bytes, models: this.entries.size };
  }

  /** The model of that digest; `load` fetches its file once, however many ask at the same time. A failed load is not kept. */
  async acquire(digest: string, load: () => Promise<Uint8Array>): Promise<Lease> {
    const held = this.touch(digest) ?? this.start(load);
    this.entries.set(digest, held);
    held.leases++;
    try {
      return new OpenLease(await held.loading, () => this.giveBack(held));
    } catch (error) {
      held.leases--;
      if (this.entries.get(digest) === held) this.entries.delete(digest);
      throw error;
    }
  }

  /** As `acquire` if the model is there already, else null. */
  held(digest: string): Lease | null {
    const entry = this.touch(digest);
    if (!entry) return null;
    this.entries.set(digest, entry);
    if (!entry.model) return null;
    entry.leases++;
    return new OpenLease(entry.model, () => this.giveBack(entry));
  }

  /** Taken out, to be put behind all others. */
  private touch(digest: string): Entry | undefined {
    const entry = this.entries.get(digest);
    this.entries.delete(digest);
    return entry;
  }

  /** Acquires, runs `task`, gives back. */
  async use<T>(digest: string, load: () => Promise<Uint8Array>, task: (model: LoadedModel) => Promise<T>): Promise<T> {
    const lease = await this.acquire(digest, load);
    try {
      return await task(lease.model);
    } finally {
      lease.release();
    }
  }

  /** Evicts everything; models in use go with their last lease. */
  close(): void {
    for (const [digest, entry] of this.entries) this.evict(digest, entry);
  }

  private start(load: () => Promise<Uint8Array>): Entry {
    const loading = load().then(loadModel);
    const entry: Entry = { loading, model: null, leases: 0, evicted: false };
    loading.then(
      (model) => {
        entry.model = model;
        this.bytes += model.sizeBytes;
        this.shrink();
      },
      () => undefined,
    );
    return entry;
  }

  /** From the oldest on, all but the latest, until the budget holds. */
  private shrink(): void {
    let left = this.entries.size;
    for (const [digest, entry] of this.entries) {
      if (this.bytes <= this.budgetBytes || --left === 0) return;
      if (entry.leases === 0) this.evict(digest, entry);
    }
  }

  private evict(digest: string, entry: Entry): void {
    this.entries.delete(digest);
    entry.evicted = true;
    if (entry.leases === 0) this.dispose(entry);
  }

  private giveBack(entry: Entry): void {
    entry.leases--;
    if (!entry.evicted) this.shrink();
    else if (entry.leases === 0) this.dispose(entry);
  }

  private dispose({ model }: Entry): void {
    if (model === null) return;
    this.bytes -= model.sizeBytes;
    void model.session.release();
  }
}
