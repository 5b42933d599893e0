import type { Route } from './route.js';

/** Where a file is sent that `createUpload` announced. */
export const uploadRoute: Route = {
  methods: ['PUT'],
  path: /^\/uploads\/(?<id>[a-z0-9_]+)$/,
  access: 'public',
  because: 'the address holds a secret that was given to whoever announced the file',
  cookies: false,
  timeoutMs: null,
  answer: async ({ app, request, response, query, parts, signal }) => {
    const announced = request.headers['content-length'];
    const upload = await app.uploads.receive({
      id: parts.id!,
      token: query().get('token') ?? '',
      body: request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
      contentLength: announced === undefined ? null : Number(announced),
      signal: signal(),
    });
    response.setHeader('content-type', 'application/json; charset=utf-8');
    response.end(JSON.stringify(upload));
  },
};
