import { AppError } from '../platform/errors.js';
import { batchRoute } from './batch-routes.js';
import { readJson } from './body.js';
import { answerGraphQL, type GraphQLDoor } from './graphql.js';
import { unreadiness } from './health.js';
import { LIMITS } from './limits.js';
import { logRoutes } from './log-routes.js';
import { openInferenceRoutes } from './open-inference.js';
import { pageRoutes } from './page.js';
import type { Asked, Route } from './route.js';
import { uploadRoute } from './upload.js';

/** Every route of the API process. */
export function makeRoutes(door: GraphQLDoor, schemaText: string): Route[] {
  return [
    {
      methods: ['GET', 'POST'],
      path: /^\/graphql$/,
      access: 'public',
      because: 'every field names its permission',
      cookies: true,
      proofs: 'spent by the answer',
      timeoutMs: LIMITS.executionMs,
      answer: async ({ request, response, context }) => {
        const isKnown = context.scope !== null || context.account !== null;
        const limitBytes = isKnown ? LIMITS.bodyBytes : LIMITS.strangersBodyBytes;
        const body = request.method === 'POST' ? await readJson(request, limitBytes) : undefined;
        if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body)))
          throw new AppError('MALFORMED_REQUEST', 'The body must be one JSON object; batches are off.');
        await answerGraphQL(door, { request, response, context, body });
      },
    },
    plain('/schema.graphql', 'the language of the API is no secret', ({ response }) => {
      response.setHeader('content-type', 'text/plain; charset=utf-8');
      response.end(schemaText);
      return Promise.resolve();
    }),
    plain('/health/live', 'says nothing but that the process runs', ({ response }) => {
      answerJson(response, 200, { status: 'live' });
      return Promise.resolve();
    }),
    plain('/health/ready', 'says nothing but whether it can work, or what is missing', async ({ app, response }) => {
      const reason = await unreadiness(app);
      answerJson(response, reason ? 503 : 200, reason ? { status: 'not ready', reason } : { status: 'ready' });
    }),
    uploadRoute,
    batchRoute,
    ...openInferenceRoutes,
    ...logRoutes(),
    ...pageRoutes(),
  ];
}

function plain(path: string, because: string, answer: (asked: Asked) => Promise<void>): Route {
  const pattern = new RegExp(`^${path.replaceAll('.', '\\.')}$`);
  return {
    methods: ['GET', 'HEAD'],
    path: pattern,
    access: 'public',
    because,
    cookies: false,
    timeoutMs: 5000,
    answer,
  };
}

function answerJson(response: Asked['response'], status: number, value: unknown): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(value));
}

/** Fails the start where a route opens itself to everybody without saying why. */
export function refuseUnexplained(routes: readonly Route[]): void {
  for (const route of routes)
    if (route.access === 'public' && !route.because)
      throw new Error(`The route ${route.path.source} is public: say because of what.`);
}
