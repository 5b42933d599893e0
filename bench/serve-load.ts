/**
 * The load generator, in a process of its own: callers that each keep one connection and send the next request when the answer to the
 * last one is there. Raw sockets, because a client library costs more than the servers that are measured.
 */
import { connect, type Socket } from 'node:net';
import { type ProofOrder, prover } from './serve-proof.js';

export interface LoadOrder {
  readonly port: number;
  /** Whole HTTP requests, head and body, base64; sent in turn. */
  readonly requests: readonly string[];
  /** Whose proof goes along, made for each request; not counted, because it is this process that makes it. */
  readonly proof: ProofOrder | null;
  readonly callers: number;
  /** Before it counts: at least so long, and so many answers (but not for ever). */
  readonly warmMs: number;
  readonly warmAnswers: number;
  readonly runMs: number;
  /** What every good answer holds. */
  readonly expected: string;
}

export interface LoadOutcome {
  readonly answered: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export type LoadMessage =
  | { readonly kind: 'began' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'outcome'; readonly outcome: LoadOutcome }
  | { readonly kind: 'failed'; readonly why: string };

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const LONGEST_WARM_MS = 20_000;
const LENGTH = /^content-length: *(\d+)/im;

/** One connection; `done` gets the latency of each answer. Fails on anything but 200 with the expected words. */
class Caller {
  private readonly socket: Socket;
  private chunks: Buffer[] = [];
  private bytes = 0;
  private wanted = -1;
  private sentAt = 0;

  constructor(
    private readonly order: {
      requests: readonly Buffer[];
      port: number;
      expected: Buffer;
      prove: (() => string) | null;
    },
    private at: number,
    private readonly done: (ms: number) => boolean,
    fail: (why: string) => void,
  ) {
    this.socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true }, () => this.send());
    this.socket.on('error', (error) => fail(error.message));
    this.socket.on('data', (chunk) => {
      try {
        this.take(chunk);
      } catch (error) {
        this.socket.destroy();
        fail((error as Error).message);
      }
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private send(): void {
    this.at = (this.at + 1) % this.order.requests.length;
    const request = this.order.requests[this.at]!;
    const { prove } = this.order;
    const proof = prove && `dpop: ${prove()}\r\n`;
    this.sentAt = performance.now();
    if (proof === null) return void this.socket.write(request);
    const headersAt = request.indexOf(LINE_END) + LINE_END.length;
    this.socket.write(Buffer.concat([request.subarray(0, headersAt), Buffer.from(proof), request.subarray(headersAt)]));
  }

  private take(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.wanted < 0) {
      const whole = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks);
      const end = whole.indexOf(HEAD_END);
      if (end < 0) return;
      const head = whole.toString('latin1', 0, end);
      const length = LENGTH.exec(head)?.[1];
      if (!head.startsWith('HTTP/1.1 200') || length === undefined)
        throw new Error(`Not an answer of a known length: ${whole.toString('utf8', 0, 500)}`);
      this.wanted = end + HEAD_END.length + Number(length);
    }
    if (this.bytes < this.wanted) return;
    const whole = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
    if (!whole.includes(this.order.expected))
      throw new Error(`Not the answer expected: ${whole.toString('utf8', 0, 1500)}`);
    this.chunks = [];
    this.bytes = 0;
    this.wanted = -1;
    if (this.done(performance.now() - this.sentAt)) this.send();
  }
}

function run(order: LoadOrder, tell: (message: LoadMessage) => void): Promise<LoadOutcome> {
  return new Promise((resolve, reject) => {
    const requests = order.requests.map((text) => Buffer.from(text, 'base64'));
    let measured: number[] | null = null;
    let goesOn = true;
    let answers = 0;
    const done = (ms: number): boolean => {
      answers++;
      measured?.push(ms);
      return goesOn;
    };
    const fail = (why: string): void => {
      if (goesOn) reject(new Error(why));
      goesOn = false;
    };
    const made = {
      requests,
      port: order.port,
      expected: Buffer.from(order.expected),
      prove: order.proof && prover(order.proof),
    };
    const step = Math.max(1, Math.floor(requests.length / order.callers));
    const callers = Array.from({ length: order.callers }, (_, i) => new Caller(made, i * step, done, fail));
    const count = (): void => {
      measured = [];
      const from = performance.now();
      tell({ kind: 'began' });
      setTimeout(() => {
        tell({ kind: 'ended' });
        const seconds = (performance.now() - from) / 1000;
        const sorted = Float64Array.from(measured!).sort();
        measured = null;
        goesOn = false;
        for (const caller of callers) caller.close();
        const quantile = (p: number): number =>
          sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? NaN;
        resolve({ answered: sorted.length, seconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99) });
      }, order.runMs);
    };
    const began = performance.now();
    const warm = setInterval(() => {
      const passed = performance.now() - began;
      if (passed < order.warmMs || (answers < order.warmAnswers && passed < LONGEST_WARM_MS)) return;
      clearInterval(warm);
      count();
    }, 20);
  });
}

process.on('message', (order: LoadOrder) => {
  const tell = (message: LoadMessage): void => void process.send!(message);
  run(order, tell).then(
    (outcome) => tell({ kind: 'outcome', outcome }),
    (error: Error) => tell({ kind: 'failed', why: error.message }),
  );
});
