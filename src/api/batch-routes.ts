import { once } from 'node:events';
import { batchFile } from '../domain/serving/batch-file.service.js';
import type { Asked, Route } from './route.js';

/** The answers of a batch: of its tenant, for whoever may ask for predictions. */
export const batchRoute: Route = {
  methods: ['GET', 'HEAD'],
  path: /^\/batch-predictions\/(?<id>bat_[0-9a-f]{32})\/(?<file>answers\.csv|answers\.jsonl|manifest\.json)$/,
  access: 'prediction:create',
  cookies: false,
  timeoutMs: null,
  answer: async ({ app, context, request, response, parts, signal }) => {
    const { type, pieces } = batchFile(await app.batches.answers(context.scope!, parts['id']!), parts['file']!);
    response.setHeader('content-type', type);
    response.setHeader('content-disposition', `attachment; filename="${parts['id']!}-${parts['file']!}"`);
    if (request.method !== 'HEAD') for await (const piece of pieces) await write(response, piece, signal());
    response.end();
  },
};

/** No faster than it is taken. */
async function write(response: Asked['response'], text: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!response.write(text)) await once(response, 'drain', { signal });
}
