import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** What was notified; null: news may have been missed (the connection is new), read the state again. */
export type Heard = (payload: string | null) => void;

export interface Listener {
  /** Calls `heard` for every notification of the channel, and with null after every (re)connection. Returns how to stop it. */
  on(channel: string, heard: Heard): () => void;
  /** Whether the connection answered within the last second. Who must not act on stale knowledge looks here. */
  isInTouch(): boolean;
  /** The same, but waits for the next answer, half a second at most: a process that was busy itself hears late. */
  regainTouch(): Promise<boolean>;
  close(): Promise<void>;
}

const RETRY_MS = 250;
const PING_MS = 250;
/** A server that has not answered a ping for so long is out of touch. */
const SILENT_MS = 1000;
const PATIENCE_MS = 500;
const CONNECT_MS = 3000;

/** When the server last answered, and who waits for its next answer. */
class Touch {
  private answeredAt = -Infinity;
  private waiting: (() => void)[] = [];

  isThere(): boolean {
    return performance.now() - this.answeredAt < SILENT_MS;
  }

  renew(): void {
    this.answeredAt = performance.now();
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }

  lose(): void {
    this.answeredAt = -Infinity;
  }

  async regain(): Promise<boolean> {
    if (this.isThere()) return true;
    const patience = new AbortController();
    const answer = new Promise<void>((resolve) => this.waiting.push(resolve));
    await Promise.race([answer, delay(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
    return this.isThere();
  }
}

/** One statement at a time: those that come meanwhile wait. pg's own queue for overlapping ones is on its way out. */
function inTurn(client: pg.Client): (text: string) => Promise<unknown> {
  let before: Promise<unknown> = Promise.resolve();
  return (text) => {
    const answer = before.then(() => client.query(text));
    before = answer.catch(() => undefined);
    return answer;
  };
}

/** One LISTEN connection for all of a process's channels. It comes back by itself; a connection that is silently dead is noticed by pings. */
export function openListener(url: string): Listener {
  const channels = new Map<string, Set<Heard>>();
  const closing = new AbortController();
  const touch = new Touch();
  /** To the connection that stands. */
  let query: ReturnType<typeof inTurn> | null = null;

  const tellAll = () => {
    for (const listeners of channels.values()) for (const heard of listeners) heard(null);
  };
  const connect = async (): Promise<pg.Client> => {
    const made = new pg.Client({
      connectionString: url,
      application_name: 'concordat_listen',
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: SILENT_MS,
    });
    made.on('error', () => undefined);
    made.on('notification', ({ channel, payload }) => {
      for (const heard of channels.get(channel) ?? []) heard(payload ?? '');
    });
    try {
      await made.connect();
      // From now on who begins to listen says so itself.
      const ask = (query = inTurn(made));
      for (const channel of channels.keys()) await ask(`listen ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      await made.end().catch(() => undefined);
      throw error;
    }
    return made;
  };
  /** Stays until the connection is lost. */
  const attend = async () => {
    while (!closing.signal.aborted) {
      await query!('select 1');
      touch.renew();
      await delay(PING_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };
  const loop = async () => {
    while (!closing.signal.aborted) {
      let lost: pg.Client | null = null;
      try {
        lost = await connect();
        // What is known is read again before it is trusted again.
        tellAll();
        touch.renew();
        await attend();
      } catch {
        touch.lose();
      }
      query = null;
      // A connection whose other end is silent may never end in order.
      await Promise.race([lost?.end().catch(() => undefined), delay(RETRY_MS)]);
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
        query?.(`listen ${pg.escapeIdentifier(channel)}`).then(
          () => heard(null),
          () => undefined,
        );
      return () => void listeners.delete(heard);
    },
    isInTouch: () => touch.isThere(),
    regainTouch: () => touch.regain(),
    close: async () => {
      closing.abort();
      await ended;
    },
  };
}
