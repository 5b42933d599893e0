import type { IncomingMessage } from 'node:http';
import type { App } from '../app.js';
import { datatypeOf, matrixName } from '../domain/serving/predict.service.js';
import { AppError, notFound } from '../platform/errors.js';
import type { Scope } from '../platform/scope.js';
import { readBytes } from './body.js';
import { unreadiness } from './health.js';
import { LIMITS } from './limits.js';
import { metadataOf, writeAnswer } from './open-inference-answer.js';
import { parseInference } from './open-inference-request.js';
import type { ApiResponse } from './response.js';
import type { Asked, Route } from './route.js';

/*
 * The second door: Open Inference Protocol v2 over HTTP for the same endpoints, under the same decision.
 * https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 */

const HEADER_LENGTH = 'inference-header-content-length';
const MODEL = String.raw`^\/v2\/models\/(?<model>[^/]+)(?:\/versions\/(?<version>[^/]+))?`;

/** What an inference request is about, still as the address has it. */
export interface Target {
  readonly model: string;
  readonly version: string | null;
}

export const openInferenceRoutes: readonly Route[] = [
  open(/^\/v2\/?$/, 'says what the server is, which is no secret', () =>
    Promise.resolve({ name: 'concordat', version: '2', extensions: ['binary_tensor_data'] }),
  ),
  open(/^\/v2\/health\/live$/, 'says nothing but that the process runs', () => Promise.resolve({ live: true })),
  open(/^\/v2\/health\/ready$/, 'says nothing but whether it can work, or what is missing', async (asked) => {
    const reason = await unreadiness(asked.app);
    if (reason === null) return { ready: true };
    asked.response.statusCode = 503;
    return { ready: false, error: reason };
  }),
  about(`${MODEL}\\/ready$`, (model) => ({ name: model, ready: true })),
  about(`${MODEL}$`, (model, { modelVersionId, signature }) =>
    metadataOf({ model, version: modelVersionId, signature, datatypeOf, matrixName }),
  ),
  {
    methods: ['POST'],
    path: new RegExp(`${MODEL}\\/infer$`),
    access: 'prediction:create',
    cookies: false,
    proofs: 'spent by the answer',
    timeoutMs: LIMITS.executionMs,
    answer: ({ app, request, response, parts, context }) => {
      const target = { model: parts['model']!, version: parts['version'] ?? null };
      return infer(app, { request, response, target, scope: context.scope! });
    },
  },
];

const INFER = /^\/v2\/models\/([^/?]+)(?:\/versions\/([^/?]+))?\/infer(?:\?|$)/;

/** What an inference request is about, before any route is looked for: it is the way of every prediction. Null if it is none. */
export function inferTarget({ method, url = '' }: IncomingMessage): Target | null {
  const [, model, version] = (method === 'POST' && INFER.exec(url)) || [];
  return model === undefined ? null : { model: decode(model), version: version === undefined ? null : decode(version) };
}

export interface Inferring {
  readonly request: IncomingMessage;
  readonly response: ApiResponse;
  readonly target: Target;
  readonly scope: Scope;
}

/** One inference: the same prediction as every door's. */
export async function infer(app: App, { request, response, target, scope }: Inferring): Promise<void> {
  const { headers } = request;
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity')
    throw new AppError('UNSUPPORTED_MEDIA_TYPE', 'Compressed requests are not taken.', {
      remedy: 'Send the body as it is.',
    });
  const body = await readBytes(request, LIMITS.bodyBytes);
  const asked = parseInference(body, headers[HEADER_LENGTH] as string | undefined);
  const endpointId = await app.endpoints.idOf(scope, target.model);
  if (endpointId === null) throw notFound('endpoint');
  const prediction = await app.predictions.predict(scope, {
    endpointId,
    modelVersionId: target.version,
    agreementId: asked.agreement,
    purpose: asked.purpose,
    idempotencyKey: asked.idempotencyKey,
    declaredRegion: asked.declaredRegion,
    door: 'OPEN_INFERENCE',
    rows: asked.rows,
  });
  const { body: answer, headerLength } = writeAnswer(target.model, asked, prediction);
  if (headerLength === null) response.answer('application/json', answer);
  else response.answer('application/octet-stream', answer, [HEADER_LENGTH, String(headerLength)]);
}

/** Whether an address belongs to this door, whose errors have a form of their own. */
export function isOpenInference(url: string | undefined): boolean {
  return url !== undefined && /^\/v2(?:[/?]|$)/.test(url);
}

function open(path: RegExp, because: string, tell: (asked: Asked) => Promise<object>): Route {
  const answer = async (asked: Asked) => answerJson(asked, await tell(asked));
  return { methods: ['GET', 'HEAD'], path, access: 'public', because, cookies: false, timeoutMs: 5000, answer };
}

type Endpoint = Awaited<ReturnType<App['endpoints']['get']>>;

/** Who may ask for predictions may know what to ask: clients read this first. */
function about(path: string, tell: (model: string, endpoint: Endpoint) => object): Route {
  return {
    methods: ['GET', 'HEAD'],
    path: new RegExp(path),
    access: 'prediction:create',
    cookies: false,
    timeoutMs: 5000,
    answer: async (asked) => {
      const { model, version } = asked.parts as { model: string; version?: string };
      const scope = asked.context.scope!;
      const id = await asked.app.endpoints.idOf(scope, model);
      if (id === null) throw notFound('endpoint');
      const endpoint = await asked.app.endpoints.get(scope, id);
      if (version !== undefined && version !== endpoint.modelVersionId) throw notFound('model version');
      answerJson(asked, tell(model, endpoint));
    },
  };
}

function answerJson({ response }: Asked, value: object): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    throw notFound('page');
  }
}
