import { randomUUID } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { canonical, checkAnswer, checkReceipt, checkRequest, type Key } from '../../src/cli/verifier.mjs';
import type { Receipt } from '../../src/domain/metering/receipt.js';
import { random } from '../ml/onnx-models.js';
import { PUBLIC_URL } from './cluster.js';
import { proofOf, type TestDevice } from './device-support.js';

/** An agreement as its consumer uses it. */
export interface Deal {
  readonly name: string;
  readonly agreementId: string;
  /** Proofs go along. */
  readonly device: TestDevice | null;
}

export interface Asker {
  readonly urls: readonly string[];
  readonly endpointId: string;
  readonly classes: readonly string[];
  readonly apiKey: string;
  readonly deals: readonly Deal[];
  /** Of the platform. */
  readonly keys: readonly Key[];
}

/** An answer that arrived whole, and was verified. */
export interface Received {
  readonly agreementId: string;
  readonly idempotencyKey: string | null;
  readonly index: number;
  readonly predictionId: string;
  readonly rowCount: number;
  /** Canonical JSON. */
  readonly entry: string;
  readonly receipt: string;
  readonly origin: string;
  readonly batch: { readonly firstIndex: number; readonly size: number; readonly signature: string };
}

interface Asked {
  readonly deal: Deal;
  readonly door: 'GRAPHQL' | 'OPEN_INFERENCE';
  readonly idempotencyKey: string | null;
  readonly columns: { readonly age: number[]; readonly income: (number | null)[]; readonly city: (string | null)[] };
}

interface Answer {
  readonly labels: unknown;
  readonly scores: unknown;
  readonly values: unknown;
  readonly receipt: Receipt;
  readonly isRepetition: boolean | null;
}

type Outcome = { readonly answer: Answer } | { readonly code: string };

/** No answer came, or one that says nothing of what became of the request. */
const LOST = new Set(['NOTHING', 'UNAVAILABLE', 'TIMED_OUT']);
/** What a caller of this load may be refused with besides. */
const EXPECTED = /^(QUOTA_(SECOND|TOTAL)_EXCEEDED|PRIVACY_BUDGET_SPENT|ENDPOINT_NOT_READY)$/;
const MUTATION = `mutation ($input: PredictInput!) { predict(input: $input) { ... on Refusal { code }
  ... on PredictPayload { prediction { labels scores values isRepetition receipt } } } }`;
const PATIENCE_MS = 25_000;
const PAUSE_MS = 25;

/** Callers that ask one prediction after the other, through both doors and of whichever API answers, until they are told to stop. */
export class Callers {
  readonly received: Received[] = [];
  /** What is not as it must be. */
  readonly faults: string[] = [];
  readonly refusals = new Map<string, number>();
  /** Requests without an idempotency key that came to nothing, and tries of those with one. */
  lost = 0;
  repetitions = 0;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });
  private isStopping = false;
  private running: Promise<void>[] = [];
  private readonly first = new Map<string, Received>();

  constructor(readonly asker: Asker) {}

  start(count: number, seed: number): void {
    this.running = Array.from({ length: count }, (_, caller) => this.run(caller, random(seed * 1000 + caller)));
  }

  /** Requests with a key are still asked until they are answered. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await Promise.all(this.running);
  }

  close(): void {
    this.agent.destroy();
  }

  /** The code of the refusal, or ANSWERED. */
  async once(deal: Deal, rows: number, next: () => number): Promise<string> {
    const asked = { deal, door: 'GRAPHQL', idempotencyKey: randomUUID(), columns: columnsOf(rows, next) } as const;
    return this.ask(asked, { at: 0 });
  }

  private async run(caller: number, next: () => number): Promise<void> {
    const { deals } = this.asker;
    const deal = deals[caller % deals.length]!;
    const place = { at: caller };
    while (!this.isStopping) {
      if (next() < 0.1) place.at++;
      const asked: Asked = {
        deal,
        door: next() < 0.5 ? 'GRAPHQL' : 'OPEN_INFERENCE',
        idempotencyKey: next() < 0.5 ? randomUUID() : null,
        columns: columnsOf(1 + Math.floor(5 * next()), next),
      };
      const code = await this.ask(asked, place);
      if (code === 'ANSWERED' && asked.idempotencyKey && next() < 0.2) await this.ask(asked, { at: place.at + 1 });
      await delay(EXPECTED.test(code) ? 8 * PAUSE_MS : PAUSE_MS * 2 * next());
    }
  }

  /** With an idempotency key until it is known what became of it. `place`: of which API, until that one does not answer. */
  private async ask(asked: Asked, place: { at: number }): Promise<string> {
    for (;;) {
      const outcome = await this.send(asked, this.asker.urls[place.at % this.asker.urls.length]!);
      if ('answer' in outcome) {
        this.take(asked, outcome.answer);
        return 'ANSWERED';
      }
      const { code } = outcome;
      this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
      if (!LOST.has(code)) {
        if (!EXPECTED.test(code)) this.faults.push(`${asked.door} under ${asked.deal.name} was refused: ${code}`);
        return code;
      }
      this.lost++;
      place.at++;
      if (asked.idempotencyKey === null) return code;
      await delay(100);
    }
  }

  private take(asked: Asked, { receipt, isRepetition, ...answer }: Answer): void {
    const { idempotencyKey, columns, deal } = asked;
    try {
      const proven = checkReceipt(receipt, this.asker.keys);
      checkAnswer(proven, receipt.saltHex, answer);
      checkRequest(proven, receipt.saltHex, columns, { age: 'number', income: 'number', city: 'category' });
      if (proven.context['agreementId'] !== deal.agreementId) throw new Error('The receipt is of another agreement.');
    } catch (error) {
      this.faults.push(`A receipt under ${deal.name}: ${(error as Error).message}`);
    }
    const { entry, origin, batch } = receipt;
    const received: Received = {
      agreementId: deal.agreementId,
      idempotencyKey,
      index: entry.index,
      predictionId: entry.predictionId,
      rowCount: columns.age.length,
      entry: canonical(entry),
      receipt: canonical(receipt),
      origin,
      batch: { firstIndex: batch.firstIndex, size: batch.size, signature: batch.signature },
    };
    const before = idempotencyKey === null ? undefined : this.first.get(idempotencyKey);
    if (!before) {
      if (idempotencyKey !== null) this.first.set(idempotencyKey, received);
      this.received.push(received);
      if (isRepetition) this.repetitions++;
      return;
    }
    this.repetitions++;
    if (isRepetition === false) this.faults.push(`An answer under ${deal.name} was charged twice.`);
    if (before.receipt !== received.receipt) this.faults.push(`A repetition under ${deal.name} has another receipt.`);
  }

  private async send(asked: Asked, url: string): Promise<Outcome> {
    const { endpointId, apiKey, classes } = this.asker;
    const { deal, door, columns, idempotencyKey } = asked;
    const isGraphQL = door === 'GRAPHQL';
    const path = isGraphQL ? '/graphql' : `/v2/models/${endpointId}/infer`;
    const body = isGraphQL
      ? {
          query: MUTATION,
          variables: {
            input: { endpointId, purpose: 'CREDIT', agreementId: deal.agreementId, idempotencyKey, columns },
          },
        }
      : openInferenceOf(asked);
    const proof = deal.device && proofOf(deal.device, { url: PUBLIC_URL + path, key: apiKey, at: new Date() });
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${apiKey}`,
      ...(proof && { dpop: proof }),
    };
    const text = await this.post(url + path, headers, JSON.stringify(body));
    if (text === null) return { code: 'NOTHING' };
    const answer = JSON.parse(text) as never;
    return isGraphQL ? readGraphQL(answer) : readOpenInference(answer, classes);
  }

  /** The answer's text, if it arrived whole. */
  private post(url: string, headers: Record<string, string>, body: string): Promise<string | null> {
    return new Promise((resolve) => {
      const request = httpRequest(url, { method: 'POST', headers, agent: this.agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(response.complete ? text : null));
        response.on('error', () => resolve(null));
        response.on('close', () => resolve(null));
      });
      request.setTimeout(PATIENCE_MS, () => request.destroy());
      request.on('error', () => resolve(null));
      request.end(body);
    });
  }
}

function columnsOf(rows: number, next: () => number): Asked['columns'] {
  const row = Array.from({ length: rows });
  return {
    age: row.map(() => 18 + Math.floor(60 * next())),
    income: row.map(() => (next() < 0.1 ? null : Math.round(6000 * next()))),
    city: row.map(() => ['Lyon', 'Oslo', 'Porto', 'Rom', null][Math.floor(5 * next())]!),
  };
}

function openInferenceOf({ deal, columns, idempotencyKey }: Asked): object {
  const tensor = (name: string, datatype: string, data: readonly unknown[]) => ({
    name,
    datatype,
    shape: [data.length, 1],
    data,
  });
  return {
    parameters: {
      agreement: deal.agreementId,
      purpose: 'CREDIT',
      ...(idempotencyKey !== null && { idempotency_key: idempotencyKey }),
    },
    inputs: [
      tensor('age', 'FP64', columns.age),
      tensor('income', 'FP64', columns.income),
      tensor('city', 'BYTES', columns.city),
    ],
  };
}

interface GraphQLAnswer {
  readonly data?: { readonly predict: { readonly code?: string; readonly prediction?: Answer } };
  readonly errors?: readonly { readonly extensions: { readonly code: string } }[];
}

function readGraphQL({ data, errors }: GraphQLAnswer): Outcome {
  const answer = data?.predict?.prediction;
  return answer ? { answer } : { code: errors?.[0]?.extensions.code ?? data?.predict.code ?? 'MALFORMED' };
}

interface OpenInferenceAnswer {
  readonly code?: string;
  readonly parameters?: { readonly receipt: string };
  readonly outputs?: readonly { readonly name: string; readonly data: readonly unknown[] }[];
}

function readOpenInference({ code, parameters, outputs }: OpenInferenceAnswer, classes: readonly string[]): Outcome {
  if (!parameters || !outputs) return { code: code ?? 'MALFORMED' };
  const find = (name: string) => outputs.find((one) => one.name === name)?.data ?? null;
  const table = find('scores');
  // A class of which nothing is told is a column of nulls.
  const columns = classes.map((name, k) => [name, table?.filter((_, at) => at % classes.length === k)] as const);
  const scores = table && Object.fromEntries(columns.filter(([, column]) => column!.some((score) => score !== null)));
  const receipt = JSON.parse(parameters.receipt) as Receipt;
  return { answer: { labels: find('label'), scores, values: find('value'), receipt, isRepetition: null } };
}
