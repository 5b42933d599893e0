import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';

/** Larger numbers are never asked for: `below` reads six bytes at most. */
const MOST = 2 ** 48;
const SMALL = Buffer.alloc(256);
const LARGE = Buffer.alloc(16_384);

/** Uniform whole numbers from the keystream of AES-256 in counter mode: the same key, the same numbers. */
export class NoiseStream {
  private readonly cipher;
  private bytes = Buffer.alloc(0);
  private at = 0;

  /** `key`: 32 bytes, used for this one stream. */
  constructor(key: Buffer) {
    this.cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  }

  /** Uniform on 0 .. n - 1, exactly: numbers beyond are drawn again. n is whole, 1 to 2^48. */
  below(n: number): number {
    if (!(Number.isInteger(n) && n >= 1 && n <= MOST)) throw new RangeError('Not a whole number from 1 to 2^48.');
    if (n === 1) return 0;
    // The least power of two that is at least n, and the bytes that it takes.
    const bits = n <= 2 ** 31 ? 32 - Math.clz32(n - 1) : 32 + bitsOf(Math.floor((n - 1) / 2 ** 32));
    const size = 2 ** bits;
    const width = (bits + 7) >>> 3;
    for (;;) {
      const drawn = this.take(width) % size;
      if (drawn < n) return drawn;
    }
  }

  private take(width: number): number {
    if (this.at + width > this.bytes.length) {
      // What is left over is dropped, so that a number never depends on how much was drawn at a time before it.
      this.bytes = this.cipher.update(this.bytes.length === 0 ? SMALL : LARGE);
      this.at = 0;
    }
    let number = 0;
    for (const end = this.at + width; this.at < end; this.at++) number = number * 256 + this.bytes[this.at]!;
    return number;
  }
}

const bitsOf = (n: number): number => 32 - Math.clz32(n);

/**
 * Where the noise of an answer comes from: a key of its own below the master key, and for each answer what identifies it. So
 * an answer that is made again has the same noise, and nothing is gained by asking for it twice; whoever lacks the master key
 * cannot tell it from chance. What is asked and told under another rule, or of other rows, has noise of its own.
 */
export class NoiseSource {
  readonly #key: Buffer;

  /** `masterKey`: 32 bytes. */
  constructor(masterKey: Buffer) {
    this.#key = Buffer.from(hkdfSync('sha256', masterKey, '', 'concordat noise of answers 1', 32));
  }

  /** 16 and 32 bytes, the latter committing to the rows; `rule` names the disclosure with its parameters. */
  streamOf(predictionId: Buffer, inputDigest: Buffer, rule: string): NoiseStream {
    const key = createHmac('sha256', this.#key).update(predictionId).update(inputDigest).update(rule, 'utf8').digest();
    return new NoiseStream(key);
  }
}
