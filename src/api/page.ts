import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { notFound } from '../platform/errors.js';
import { PAGE_HTML, PAGE_SCRIPT, PAGE_STYLE } from './page.text.js';
import type { Asked, Route } from './route.js';

/** Everything comes from here: no other host, no inline script. The editor writes style elements of its own. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "worker-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

/** Where each asset's text comes from. GraphiQL is a bundle of some 9 MB: loaded when somebody first asks for it. */
const SOURCES: Record<string, { type: string; text(): Promise<string> }> = {
  'page.js': { type: 'text/javascript', text: () => Promise.resolve(PAGE_SCRIPT) },
  'page.css': { type: 'text/css', text: () => Promise.resolve(PAGE_STYLE) },
  'graphiql.js': { type: 'text/javascript', text: async () => (await graphiql()).js },
  'graphiql.css': { type: 'text/css', text: async () => (await graphiql()).css },
  'editor.worker.js': { type: 'text/javascript', text: async () => (await graphiql()).editorWorkerService },
  'json.worker.js': { type: 'text/javascript', text: async () => (await graphiql()).jsonWorker },
  'graphql.worker.js': { type: 'text/javascript', text: async () => (await graphiql()).graphqlWorker },
};

const graphiql = () => import('@graphql-yoga/render-graphiql/graphiql');
const assets = new Map<string, Promise<Asset>>();

async function loadAsset(name: string): Promise<Asset> {
  const { type, text } = SOURCES[name]!;
  const bytes = Buffer.from(await text());
  const gzipped = await promisify(gzip)(bytes);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
  return { type: `${type}; charset=utf-8`, bytes, gzipped, etag };
}

/** The sign-in page with GraphiQL behind it, until there is a console. */
export function pageRoutes(): Route[] {
  const common = { methods: ['GET', 'HEAD'], access: 'public', cookies: false, timeoutMs: 30_000 } as const;
  return [
    {
      ...common,
      path: /^\/$/,
      because: 'it is where people sign in',
      answer: ({ response }) => {
        response.setHeader('content-security-policy', POLICY);
        response.setHeader('content-type', 'text/html; charset=utf-8');
        response.end(PAGE_HTML);
        return Promise.resolve();
      },
    },
    {
      ...common,
      path: /^\/assets\/(?<name>[a-z.]+)$/,
      because: 'the sign-in page is made of them',
      answer: answerAsset,
    },
  ];
}

async function answerAsset({ request, response, parts }: Asked): Promise<void> {
  const name = parts.name!;
  if (!Object.hasOwn(SOURCES, name)) throw notFound('page');
  let loading = assets.get(name);
  if (!loading) assets.set(name, (loading = loadAsset(name)));
  const { type, bytes, gzipped, etag } = await loading;
  response.setHeader('content-type', type);
  response.setHeader('cache-control', 'no-cache');
  response.setHeader('etag', etag);
  response.setHeader('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === etag) return void response.writeHead(304).end();
  const zipped = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  send(response, zipped ? gzipped : bytes, zipped);
}

function send(response: ServerResponse, bytes: Buffer, zipped: boolean): void {
  if (zipped) response.setHeader('content-encoding', 'gzip');
  response.setHeader('content-length', bytes.length);
  response.end(bytes);
}
