import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** What was notified; null: news may have been missed (the connection is new), read the state again. */
export type Heard = (payload: string | null) => void;

export interface Listener {
  /** Calls `heard` for every notification of the channel, and with null after every (re)connection. Returns how to stop it. */
  on(channel: string, heard: Heard): () => void;
  /** Whether the connection answered lately. Who must not act on stale knowledge looks here. */
  isInTouch(): boolean;
  close(): Promise<void>;
}

const RETRY_MS = 250;
const PING_MS = 1000;
/** A server that has not answered a ping for so long is out of touch. */
const SILENT_MS = 3000;

/** One LISTEN connection for all of a process's channels. It comes back by itself; a connection that is silently dead is noticed by pings. */
export function openListener(url: string): Listener {
  const channels = new Map<string, Set<Heard>>();
  const closing = new AbortController();
  let client: pg.Client | null = null;
  let answeredAt = -Infinity;

  const tellAll = () => {
    for (const listeners of channels.values()) for (const heard of listeners) heard(null);
  };
  const connect = async (): Promise<pg.Client> => {
    const made = new pg.Client({
      connectionString: url,
      application_name: 'concordat_listen',
      connectionTimeoutMillis: SILENT_MS,
      query_timeout: SILENT_MS,
    });
    made.on('error', () => undefined);
    made.on('notification', ({ channel, payload }) => {
      for (const heard of channels.get(channel) ?? []) heard(payload ?? '');
    });
    try {
      await made.connect();
      for (const channel of channels.keys()) await made.query(`listen ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      await made.end().catch(() => undefined);
      throw error;
    }
    return made;
  };
  /** Stays until the connection is lost. */
  const attend = async (made: pg.Client) => {
    while (!closing.signal.aborted) {
      await made.query('select 1');
      answeredAt = performance.now();
      await delay(PING_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };
  const loop = async () => {
    while (!closing.signal.aborted) {
      try {
        client = await connect();
        answeredAt = performance.now();
        tellAll();
        await attend(client);
      } catch {
        answeredAt = -Infinity;
      }
      const lost = client;
      client = null;
      await lost?.end().catch(() => undefined);
      await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };
  const ended = loop();

  return {
    on: (channel, heard) => {
      const listeners = channels.get(channel) ?? new Set();
      channels.set(channel, listeners.add(heard));
      // A failure shows at the next ping, and the next connection listens to every channel.
      if (listeners.size === 1)
        client?.query(`listen ${pg.escapeIdentifier(channel)}`).then(
          () => heard(null),
          () => undefined,
        );
      return () => void listeners.delete(heard);
    },
    isInTouch: () => performance.now() - answeredAt < SILENT_MS,
    close: async () => {
      closing.abort();
      await ended;
    },
  };
}
