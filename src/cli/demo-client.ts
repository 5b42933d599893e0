/** What a refusal or a GraphQL error carries, as an error that the demo can tell about. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

/** A caller of the API, with the credential and the tenant that it acts for. */
export class Client {
  constructor(
    private readonly url: string,
    private readonly token: string | null = null,
  ) {}

  as(token: string): Client {
    return new Client(this.url, token);
  }

  /** Sends one operation of one root field and returns that field's value; throws Refused for a refusal and for an error. */
  async ask<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/graphql-response+json',
        ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
      },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as Answer;
    const [error] = errors ?? [];
    if (error) throw new Refused(error.extensions?.code ?? 'ERROR', error.message);
    const [value] = Object.values(data ?? {}) as (T & { code?: string; message?: string; __typename?: string })[];
    if (value?.__typename?.endsWith('Refusal')) throw new Refused(value.code!, value.message!);
    return value as T;
  }

  /** A mutation named `name` with its one input, asking `fields` of its payload. */
  change<T>(name: string, input: object, fields: string): Promise<T> {
    const type = name[0]!.toUpperCase() + name.slice(1);
    return this.ask<T>(
      `mutation Do($input: ${type}Input!) { ${name}(input: $input) { __typename ... on ${type}Payload { ${fields} } ... on Refusal { code message } } }`,
      { input },
    );
  }

  /** Sends a file to the address that `createUpload` gave. */
  async put(path: string, bytes: Buffer): Promise<void> {
    const response = await fetch(new URL(path, this.url), { method: 'PUT', body: new Uint8Array(bytes) });
    if (!response.ok) throw new Refused(String(response.status), await response.text());
  }
}
