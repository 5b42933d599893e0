/** The servers under comparison, each with the requests that it takes. One more door is one more entry of `governedDoors`. */
import { higgsLike } from './higgs-like.js';
import type { ProofOrder } from './serve-proof.js';
import { COLUMNS, type World } from './serve-world.js';

export interface Door {
  readonly name: string;
  readonly port: number;
  /** Whose CPU a request costs; the database's is added if `governed`. */
  readonly pid: number;
  readonly governed: boolean;
  readonly expected: string;
  /** With each request goes a proof of possession, made when it is sent. */
  readonly proof: ProofOrder | null;
  /** Whole HTTP requests, base64. */
  requests(rowsEach: number): string[];
}

type Columns = Record<string, (number | null)[]>;

/** Different requests, so that nothing can be answered from memory. */
const DIFFERENT = 256;
const ROWS = 20_000;
const table = higgsLike(ROWS, COLUMNS, 2);

/** Rows from the `at`-th on, as a client would write them: four decimals, missing cells null. */
function columnsOf(at: number, rowCount: number): Columns {
  const cell = (value: number): number | null => (Number.isNaN(value) ? null : Math.round(value * 1e4) / 1e4);
  return Object.fromEntries(
    table.columns.map((values, k) => [
      `x${k}`,
      Array.from({ length: rowCount }, (_, i) => cell(values[(at + i) % ROWS]!)),
    ]),
  );
}

function made(path: string, headers: Record<string, string>, body: (columns: Columns) => string) {
  return (rowsEach: number): string[] =>
    Array.from({ length: rowsEach > 1 ? 8 : DIFFERENT }, (_, i) => {
      const bytes = Buffer.from(body(columnsOf(i * 37, rowsEach)));
      const head = {
        host: 'localhost',
        'content-type': 'application/json',
        'content-length': bytes.length,
        ...headers,
      };
      const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
      return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`), bytes]).toString(
        'base64',
      );
    });
}

export function bareDoor(name: string, { port, pid }: { port: number; pid: number }): Door {
  const requests = made('/', {}, (columns) => JSON.stringify({ columns }));
  return { name, port, pid, governed: false, proof: null, expected: '"labels":', requests };
}

const MUTATION = `mutation Predict($input: PredictInput!) { predict(input: $input) { __typename
  ... on PredictPayload { prediction { id labels scores modelVersionId agreementId logIndex leafHashHex saltHex at } }
  ... on Refusal { code message remedy retryAfterMs } } }`;

/** Every door of the API that answers predictions. */
export async function governedDoors(world: World): Promise<Door[]> {
  const { port, apiPid: pid, endpointId, key, proven } = world;
  const headers = { authorization: `Bearer ${key}` };
  const door = { port, pid, governed: true, proof: null };
  const graphql: Door = {
    ...door,
    name: 'GraphQL',
    expected: '"leafHashHex":',
    requests: made('/graphql', { ...headers, accept: 'application/json' }, (columns) =>
      JSON.stringify({ query: MUTATION, variables: { input: { endpointId, purpose: 'OPERATIONS', columns } } }),
    ),
  };
  const inferPath = `/v2/models/${endpointId}/infer`;
  const openInference = (agreement: string): Omit<Door, 'name'> => ({
    ...door,
    expected: '"outputs":',
    // The one matrix that stock clients send for an all-numeric model, row after row.
    requests: made(inferPath, headers, (columns) => {
      const values = Object.values(columns);
      const shape = [values[0]!.length, values.length];
      const data = values[0]!.flatMap((_, row) => values.map((column) => column[row]!));
      const inputs = [{ name: 'input', shape, datatype: 'FP32', data }];
      return JSON.stringify({ inputs, parameters: { agreement, purpose: 'OPERATIONS' } });
    }),
  });
  const proof = { device: proven.device, key, url: `http://localhost:${port}${inferPath}` };
  const { status } = await fetch(`http://127.0.0.1:${port}/v2/health/live`);
  if (status !== 200) return [graphql];
  return [
    graphql,
    { ...openInference(world.agreementId), name: 'Open Inference' },
    { ...openInference(proven.agreementId), name: 'with DPoP', proof },
  ];
}
