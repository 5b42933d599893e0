import type { Listener } from './listen.js';

/** What subscriptions wait for: changes told by the database, in whichever process they were made. */
export interface Events {
  /**
   * Yields at once (so that a subscriber begins with the present state), then whenever the channel is notified with this payload,
   * and after a lost connection. Says only that there is news: read the state again. News that come while one is being read
   * become one. Ends with `last()`, `return()` or the signal.
   */
  subscribe(channel: string, payload: string, signal?: AbortSignal): AsyncIterableIterator<News>;
}

export interface News {
  /** Ends the subscription after this: nothing more can happen. */
  last(): void;
}

/** The payload of `concordat_job`, which every change of a job's row notifies. */
export function jobPayload(tenantId: string, jobId: string): string {
  return `${tenantId} ${jobId}`;
}

type Wake = () => void;

export function makeEvents(listener: Listener): Events {
  const channels = new Map<string, Map<string, Set<Wake>>>();
  const wakersOf = (channel: string): Map<string, Set<Wake>> => {
    const known = channels.get(channel);
    if (known) return known;
    const made = new Map<string, Set<Wake>>();
    channels.set(channel, made);
    listener.on(channel, (payload) => {
      const heard = payload === null ? [...made.values()] : [made.get(payload) ?? []];
      for (const wakes of heard) for (const wake of wakes) wake();
    });
    return made;
  };
  return {
    subscribe: (channel, payload, signal) => {
      const wakers = wakersOf(channel);
      const wakes = wakers.get(payload) ?? new Set<Wake>();
      wakers.set(payload, wakes);
      const { iterator, wake, end } = pulse(() => {
        wakes.delete(wake);
        if (wakes.size === 0 && wakers.get(payload) === wakes) wakers.delete(payload);
      });
      wakes.add(wake);
      if (signal?.aborted) end();
      else signal?.addEventListener('abort', end, { once: true });
      return iterator;
    },
  };
}

/** An iterator that yields once now and once for every time it was woken since it was last asked. */
function pulse(onEnd: Wake): { iterator: AsyncIterableIterator<News>; wake: Wake; end: Wake } {
  let news = true;
  let ended = false;
  let waiting: ((result: IteratorResult<News>) => void) | null = null;
  const done: IteratorResult<News> = { done: true, value: undefined };
  const settle = () => {
    if (!waiting || (!news && !ended)) return;
    const resolve = waiting;
    waiting = null;
    if (ended) return resolve(done);
    news = false;
    resolve({ done: false, value: { last: end } });
  };
  const end = () => {
    if (!ended) onEnd();
    ended = true;
    settle();
  };
  const iterator: AsyncIterableIterator<News> = {
    [Symbol.asyncIterator]: () => iterator,
    next: () =>
      new Promise((resolve) => {
        waiting?.(done);
        waiting = resolve;
        settle();
      }),
    return: () => {
      end();
      return Promise.resolve(done);
    },
  };
  const wake = () => {
    news = true;
    settle();
  };
  return { iterator, wake, end };
}
