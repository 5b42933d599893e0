import { request as httpRequest } from 'node:http';

/** What a GraphQL request answered. `data` is as loose as the test wants it. */
export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: T | null;
  readonly errors: { message: string; path?: (string | number)[]; extensions: Record<string, unknown> }[];
}

export interface Client {
  readonly url: string;
  readonly token: string | null;
  /** Sends the operation, whatever comes back. */
  send<T = Record<string, never>>(query: string, variables?: Record<string, unknown>): Promise<Answer<T>>;
  /** The data of a request without errors; throws otherwise. */
  query<T = Record<string, never>>(query: string, variables?: Record<string, unknown>): Promise<T>;
  /**
   * Calls the mutation with one `input` and returns its payload; throws for a refusal. `selection` is that of the payload,
   * such as `dataset { id }`; the payload's and the input's type names follow from the mutation's name.
   */
  mutate<T = Record<string, never>>(name: string, input: Record<string, unknown>, selection: string): Promise<T>;
  /** The code of the refusal or of the first error; throws if there was neither. */
  refusal(name: string, input: Record<string, unknown>): Promise<string>;
  /** The same server as somebody else: a session's token or an API key; a tenant for the header. */
  as(token: string | null, tenantId?: string): Client;
}

export function makeClient(url: string, token: string | null = null, tenantId?: string): Client {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...(token && { authorization: `Bearer ${token}` }),
    ...(tenantId && { 'x-concordat-tenant': tenantId }),
  };
  const client: Client = {
    url,
    token,
    send: async <T>(query: string, variables: Record<string, unknown> = {}): Promise<Answer<T>> => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ query, variables }),
      });
      const body = (await response.json()) as { data?: T; errors?: Answer['errors'] };
      return { status: response.status, headers: response.headers, data: body.data ?? null, errors: body.errors ?? [] };
    },
    query: async <T>(query: string, variables?: Record<string, unknown>): Promise<T> => {
      const { data, errors } = await client.send<T>(query, variables);
      if (errors.length > 0 || data === null) throw new Error(JSON.stringify(errors));
      return data;
    },
    mutate: async <T>(name: string, input: Record<string, unknown>, selection: string): Promise<T> => {
      const { result } = await client.query<{ result: T & { __typename: string } }>(mutation(name, selection), {
        input,
      });
      if (result.__typename.endsWith('Refusal')) throw new Error(`${name}: ${JSON.stringify(result)}`);
      return result;
    },
    refusal: async (name, input) => {
      const { data, errors } = await client.send<{ result: { code?: string } }>(mutation(name, ''), { input });
      const code = errors[0]?.extensions.code ?? data?.result.code;
      if (typeof code !== 'string') throw new Error(`${name} was not refused: ${JSON.stringify(data)}`);
      return code;
    },
    as: (other, tenant) => makeClient(url, other, tenant),
  };
  return client;
}

function mutation(name: string, selection: string): string {
  const type = name[0]!.toUpperCase() + name.slice(1);
  return `mutation ($input: ${type}Input!) { result: ${name}(input: $input) {
    __typename ... on Refusal { code message remedy field retryAfterMs } ${selection && `... on ${type}Payload { ${selection} }`} } }`;
}

/** A request as it stands, for what `fetch` would not send. Returns status, headers and text. */
export function rawRequest(
  url: string,
  options: { method?: string; headers?: Record<string, string | string[]>; body?: string | Buffer },
): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; text: string; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(
      url,
      { method: options.method ?? 'POST', headers: options.headers ?? {}, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          resolve({ status: response.statusCode!, headers: response.headers, text: bytes.toString('utf8'), bytes });
        });
      },
    );
    asked.on('error', reject);
    asked.end(options.body);
  });
}
