import type { Pool } from 'pg';
import type { Listener } from '../../platform/listen.js';

const MOST_NAMES = 10_000;

/**
 * Which endpoint of a tenant's own has a name: remembered until the database notifies a change of that endpoint, and out of touch
 * with its news not at all. That there is none is not remembered.
 */
export class EndpointNames {
  /** The endpoint's id by tenant and name. */
  private readonly known = new Map<string, string>();
  /** Counts the news: what was read before some came is not remembered. */
  private news = 0;

  constructor(
    private readonly gate: Pool,
    private readonly listener: Listener,
  ) {
    listener.on('concordat_policy', (endpointId) => {
      this.news++;
      if (endpointId === null) this.known.clear();
      else for (const [key, id] of this.known) if (id === endpointId) this.known.delete(key);
    });
  }

  async find(tenantId: string, name: string): Promise<string | null> {
    const key = `${tenantId} ${name}`;
    const inTouch = this.listener.isInTouch();
    const found = inTouch ? this.known.get(key) : undefined;
    if (found !== undefined) return found;
    const { news } = this;
    const { rows } = await this.gate.query<{ id: string }>({
      name: 'endpoint-name',
      text: `select id from endpoint where tenant_id = $1 and name = $2 and state <> 'DELETED'`,
      values: [tenantId, name],
    });
    const id = rows[0]?.id ?? null;
    if (id !== null && inTouch && news === this.news) {
      if (this.known.size >= MOST_NAMES) this.known.clear();
      this.known.set(key, id);
    }
    return id;
  }
}
