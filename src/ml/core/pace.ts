/**
 * Keeps long computations interruptible. JavaScript runs a loop to its end before it hears a message, so training counts its
 * work and, every `UNITS_PER_REST`, lets the event loop turn: heartbeats go out and a cancellation comes in. Work is counted,
 * not timed, so that nothing here depends on a clock.
 */
export class Pace {
  private done = 0;

  constructor(private readonly signal: AbortSignal) {}

  /** Adds `units` of work (one is about one cell touched, some nanoseconds). True when it is time to `await rest()`. */
  isDue(units: number): boolean {
    this.done += units;
    return this.done >= UNITS_PER_REST;
  }

  /** Lets the event loop turn once. Throws the signal's reason when the computation was cancelled. */
  async rest(): Promise<void> {
    this.done = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.signal.throwIfAborted();
  }
}

/** At 5–10 ns a unit about 20–50 ms. */
const UNITS_PER_REST = 5_000_000;
