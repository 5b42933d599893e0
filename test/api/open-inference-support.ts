import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import { expect } from 'vitest';
import { rawRequest } from '../support/client.js';

interface Operation {
  readonly responses: Record<string, { content?: { 'application/json': { schema: object } } }>;
}
interface Description {
  readonly paths: Record<string, Record<'get' | 'post', Operation | undefined>>;
  readonly components: { schemas: Record<string, object> };
}

/** The protocol's published OpenAPI description, as it stands (Apache-2.0). */
const description = parse(readFileSync('test/fixtures/open-inference/open_inference_rest.yaml', 'utf8')) as Description;
const ajv = new Ajv({ strict: false, allErrors: true });
ajv.addSchema({ $id: 'oip', components: description.components });
const validators = new Map<string, ValidateFunction>();

export function expectSchema(name: string, value: unknown): void {
  expect(Object.keys(description.components.schemas)).toContain(name);
  const validate = validators.get(name) ?? ajv.compile({ $ref: `oip#/components/schemas/${name}` });
  validators.set(name, validate);
  validate(value);
  expect(validate.errors, JSON.stringify(value)).toBeNull();
}

/** The paths that the description has, with names for its placeholders; those without a version are the prose's. */
export const DESCRIBED = Object.entries(description.paths).flatMap(([path, operations]) =>
  (['get', 'post'] as const).flatMap((method) => {
    const operation = operations[method];
    if (!operation) return [];
    const schema = operation.responses['200']?.content?.['application/json'].schema as { $ref?: string } | undefined;
    return [{ path, method, schema: schema?.$ref?.split('/').at(-1) ?? null }];
  }),
);

export interface OipTensor {
  name: string;
  datatype: string;
  shape: number[];
  data?: unknown[];
  parameters?: Record<string, unknown>;
}

export interface OipAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The JSON; that of the header where bytes follow. */
  body: {
    model_name: string;
    model_version: string;
    id?: string;
    parameters: Record<string, string | number | boolean>;
    outputs: OipTensor[];
    error: string;
    code: string;
    field?: string;
    remedy: string;
  } & Record<string, unknown>;
  bytes: Buffer;
}

export interface OipClient {
  readonly token: string | null;
  get(path: string): Promise<OipAnswer>;
  send(path: string, body: string | Buffer, headers?: Record<string, string>): Promise<OipAnswer>;
  infer(model: string, request: Record<string, unknown>, tail?: Buffer): Promise<OipAnswer>;
  as(token: string | null): OipClient;
}

export function oipClient(url: string, token: string | null): OipClient {
  const auth: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const ask = async (path: string, options: Parameters<typeof rawRequest>[1]): Promise<OipAnswer> => {
    const answer = await rawRequest(url + path, options);
    const length = answer.headers['inference-header-content-length'];
    const bytes = answer.bytes;
    const end = length === undefined ? bytes.length : Number(length);
    return {
      status: answer.status,
      headers: answer.headers,
      body: JSON.parse(bytes.subarray(0, end).toString('utf8')) as OipAnswer['body'],
      bytes: bytes.subarray(end),
    };
  };
  const send: OipClient['send'] = (path, body, headers = {}) => ask(path, { body, headers: { ...auth, ...headers } });
  return {
    token,
    get: (path) => ask(path, { method: 'GET', headers: auth }),
    send,
    infer: (model, request, tail) => {
      const header = Buffer.from(JSON.stringify(request));
      const path = `/v2/models/${encodeURIComponent(model)}/infer`;
      if (!tail) return send(path, header, { 'content-type': 'application/json' });
      return send(path, Buffer.concat([header, tail]), {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': String(header.length),
      });
    },
    as: (other) => oipClient(url, other),
  };
}

/** The texts of a BYTES tensor in its raw form. */
export function readTexts(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', at + 4, at + 4 + size));
    at += 4 + size;
  }
  return texts;
}

export function writeTexts(texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(Buffer.byteLength(text));
      return [size, Buffer.from(text)];
    }),
  );
}
