import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeSealed } from '../../src/platform/blobs.js';
import {
  FRAME_BYTES,
  type SealedBlob,
  SealError,
  unseal,
  unsealWhole,
  unwrap,
  wrap,
} from '../../src/platform/sealing.js';

const home = mkdtempSync(join(tmpdir(), 'concordat-seal-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const HEADER = 8;
const SEALED_FRAME = FRAME_BYTES + 28;

function newBlob(name: string): SealedBlob {
  return { tenantId: 'ten_a', blobId: name, path: join(home, name), key: randomBytes(32) };
}

async function sealed(name: string, plain: Buffer): Promise<SealedBlob> {
  const blob = newBlob(name);
  await writeSealed(blob, [plain]);
  return blob;
}

async function opens(blob: SealedBlob): Promise<void> {
  await expect(unsealWhole(blob)).rejects.toThrow(SealError);
}

describe('sealed blobs', () => {
  it.each([0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 77])(
    'give back %i bytes, in whatever pieces they came',
    async (size) => {
      const plain = randomBytes(size);
      const blob = newBlob(`round-${size}`);
      const pieces = Array.from({ length: Math.ceil(size / 300_001) }, (_, i) =>
        plain.subarray(i * 300_001, (i + 1) * 300_001),
      );
      await writeSealed(blob, pieces);
      expect(Buffer.from(await unsealWhole(blob)).equals(plain)).toBe(true);
      const frames: Buffer[] = [];
      for await (const frame of unseal(blob)) frames.push(Buffer.from(frame));
      expect(Buffer.concat(frames).equals(plain)).toBe(true);
    },
  );

  it('hold nothing of the plain bytes', async () => {
    const plain = Buffer.from('patient,diagnosis\n'.repeat(1000));
    const blob = await sealed('plain', plain);
    expect(readFileSync(blob.path).includes('diagnosis')).toBe(false);
  });

  it('refuse every changed byte, every cut, every swap', async () => {
    const blob = await sealed('tamper', randomBytes(2 * FRAME_BYTES + 500));
    const good = readFileSync(blob.path);
    const write = (bytes: Buffer) => writeFileSync(blob.path, bytes);
    for (const at of [
      0,
      HEADER,
      HEADER + 5,
      HEADER + 12,
      HEADER + SEALED_FRAME - 1,
      HEADER + SEALED_FRAME,
      good.length - 1,
    ]) {
      const changed = Buffer.from(good);
      changed[at]! ^= 1;
      write(changed);
      await opens(blob);
    }
    // Between frames: what is left looks whole but for its last frame.
    for (const end of [0, HEADER, HEADER + SEALED_FRAME, HEADER + 2 * SEALED_FRAME, good.length - 1]) {
      write(good.subarray(0, end));
      await opens(blob);
    }
    const [head, a, b, c] = [
      good.subarray(0, HEADER),
      good.subarray(HEADER, HEADER + SEALED_FRAME),
      good.subarray(HEADER + SEALED_FRAME, HEADER + 2 * SEALED_FRAME),
      good.subarray(HEADER + 2 * SEALED_FRAME),
    ] as [Buffer, Buffer, Buffer, Buffer];
    for (const order of [
      [head, b, a, c],
      [head, a, c],
      [head, a, a, c],
      [head, a, b, b, c],
    ]) {
      write(Buffer.concat(order));
      await opens(blob);
    }
    write(good);
    expect((await unsealWhole(blob)).byteLength).toBe(2 * FRAME_BYTES + 500);
  });

  it('yield no byte of a frame before it is verified', async () => {
    const blob = await sealed('first-good', randomBytes(2 * FRAME_BYTES));
    const bytes = readFileSync(blob.path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(blob.path, bytes);
    let yielded = 0;
    await expect(
      (async () => {
        for await (const frame of unseal(blob)) yielded += frame.length;
      })(),
    ).rejects.toThrow(SealError);
    expect(yielded).toBe(FRAME_BYTES);
  });

  it('open for their tenant, their name and their key alone', async () => {
    const blob = await sealed('bound', Buffer.from('rows'));
    await opens({ ...blob, tenantId: 'ten_b' });
    await opens({ ...blob, blobId: 'other' });
    await opens({ ...blob, key: randomBytes(32) });
  });

  it('leave nothing behind where the source fails', async () => {
    const blob = newBlob('broken');
    async function* broken() {
      yield randomBytes(2 * FRAME_BYTES);
      await Promise.resolve();
      throw new Error('gone');
    }
    await expect(writeSealed(blob, broken())).rejects.toThrow('gone');
    expect(() => readFileSync(blob.path)).toThrow();
    expect(() => readFileSync(`${blob.path}.part`)).toThrow();
  });
});

describe('wrapped keys', () => {
  it('open with their key and label alone', () => {
    const [key, secret] = [randomBytes(32), randomBytes(32)];
    const wrapped = wrap(secret, key, 'a');
    expect(wrapped.length).toBe(60);
    expect(unwrap(wrapped, key, 'a').equals(secret)).toBe(true);
    expect(() => unwrap(wrapped, key, 'b')).toThrow(SealError);
    expect(() => unwrap(wrapped, randomBytes(32), 'a')).toThrow(SealError);
    expect(() => unwrap(wrapped.subarray(0, 20), key, 'a')).toThrow(SealError);
  });
});
