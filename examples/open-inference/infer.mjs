// Asks an endpoint that takes numbers for predictions: rows go and answers come as bytes.
//   CONCORDAT_URL=http://localhost:4000 CONCORDAT_KEY=ck_… node infer.mjs ENDPOINT PURPOSE 1,2,3 4,5,6
const { CONCORDAT_URL: url, CONCORDAT_KEY: key } = process.env;
const [model, purpose, ...rows] = process.argv.slice(2);

const cells = rows.map((row) => row.split(',').map(Number));
const matrix = Buffer.from(Float32Array.from(cells.flat()).buffer);
const header = Buffer.from(
  JSON.stringify({
    parameters: { purpose, binary_data_output: true },
    inputs: [
      {
        name: 'input',
        datatype: 'FP32',
        shape: [cells.length, cells[0].length],
        parameters: { binary_data_size: matrix.length },
      },
    ],
  }),
);
const response = await fetch(`${url}/v2/models/${encodeURIComponent(model)}/infer`, {
  method: 'POST',
  headers: {
    authorization: `Bearer ${key}`,
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(header.length),
  },
  body: Buffer.concat([header, matrix]),
});
const body = Buffer.from(await response.arrayBuffer());
if (!response.ok) throw new Error(JSON.parse(body.toString()).error);

let at = Number(response.headers.get('inference-header-content-length'));
const answer = JSON.parse(body.subarray(0, at).toString());
for (const { name, datatype, shape, parameters } of answer.outputs) {
  const bytes = new Uint8Array(body.subarray(at, (at += parameters.binary_data_size)));
  console.log(name, shape, datatype === 'FP64' ? [...new Float64Array(bytes.buffer)] : texts(Buffer.from(bytes)));
}
console.log(answer.parameters);

function texts(bytes) {
  const list = [];
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32LE(at))
    list.push(bytes.toString('utf8', at + 4, at + 4 + bytes.readUInt32LE(at)));
  return list;
}
