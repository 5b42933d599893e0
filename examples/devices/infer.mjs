// Asks an endpoint for predictions and proves with each request that it holds the device's key (RFC 9449), with nothing but Node.js.
// Without arguments: makes the key (in the file DEVICE_KEY) if it is not there, and prints its public half, to be registered.
//   DEVICE_KEY=device.json node infer.mjs
//   DEVICE_KEY=device.json CONCORDAT_URL=http://localhost:4000 CONCORDAT_KEY=ck_… node infer.mjs ENDPOINT PURPOSE 1,2,3
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const { CONCORDAT_URL: url, CONCORDAT_KEY: apiKey, DEVICE_KEY: file } = process.env;
if (!existsSync(file)) {
  const made = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  writeFileSync(file, JSON.stringify(made), { mode: 0o600 });
}
const key = createPrivateKey({ key: JSON.parse(readFileSync(file, 'utf8')), format: 'jwk' });
const jwk = createPublicKey(key).export({ format: 'jwk' });

/** A proof for this one request. */
function proofFor(method, address) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    jti: randomUUID(),
    htm: method,
    htu: address,
    iat: Math.floor(Date.now() / 1000),
    ath: createHash('sha256').update(apiKey).digest('base64url'),
  };
  const text = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

const [model, purpose, ...rows] = process.argv.slice(2);
if (model === undefined) console.log(JSON.stringify(jwk));
else {
  const address = `${url}/v2/models/${encodeURIComponent(model)}/infer`;
  const cells = rows.map((row) => row.split(',').map(Number));
  const shape = [cells.length, cells[0].length];
  const response = await fetch(address, {
    method: 'POST',
    headers: {
      authorization: `DPoP ${apiKey}`,
      dpop: proofFor('POST', address),
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      parameters: { purpose },
      inputs: [{ name: 'input', datatype: 'FP64', shape, data: cells.flat() }],
    }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  for (const { name, data } of answer.outputs) console.log(name, data);
}
