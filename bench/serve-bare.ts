/**
 * What the governed doors are compared with: node:http and onnxruntime-node, answering the same request with the same model and no
 * checks. `micro`: one run() per turn of the event loop for all that arrived in it; `naive`: one run() per request.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [file, mode] = process.argv.slice(2) as [string, 'micro' | 'naive'];
const session = await InferenceSession.create(readFileSync(file), {
  executionMode: 'sequential',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
});
/** The graph's inputs, one for each column, in the order of the request's columns. */
const names = session.inputNames;
const OUTPUTS = ['label', 'scores'];

interface Waiting {
  readonly columns: readonly (readonly (number | null)[])[];
  readonly response: ServerResponse;
}
let waiting: Waiting[] = [];

async function flush(): Promise<void> {
  const batch = waiting;
  waiting = [];
  let rowCount = 0;
  for (const { columns } of batch) rowCount += columns[0]!.length;
  const feeds: Record<string, Tensor> = {};
  for (let k = 0; k < names.length; k++) {
    const values = new Float32Array(rowCount);
    let at = 0;
    for (const { columns } of batch) for (const value of columns[k]!) values[at++] = value ?? NaN;
    feeds[names[k]!] = new Tensor('float32', values, [rowCount, 1]);
  }
  const answer = await session.run(feeds, OUTPUTS);
  const labels = answer['label']!.data as string[];
  const scores = answer['scores']!.data as Float32Array;
  const width = scores.length / rowCount;
  let from = 0;
  for (const { columns, response } of batch) {
    const to = from + columns[0]!.length;
    const text = JSON.stringify({
      labels: labels.slice(from, to),
      scores: Array.from(scores.subarray(from * width, to * width)),
    });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
    from = to;
  }
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const text = chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString();
    const { columns } = JSON.parse(text) as { columns: Record<string, (number | null)[]> };
    waiting.push({ columns: Object.values(columns), response });
    if (mode === 'naive') void flush();
    else if (waiting.length === 1) setImmediate(() => void flush());
  });
}

const server = createServer({ keepAliveTimeout: 10_000 }, answer);
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
