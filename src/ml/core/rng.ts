/**
 * Seeded random numbers: xoshiro128** (Blackman & Vigna, "Scrambled linear pseudorandom number generators", 2021), its
 * 128 bits of state filled by splitmix32 from the seed. Same seed, same numbers, on every machine.
 */
export class Rng {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  /** @param seed any finite number; `stream` makes independent generators of one seed (one per tree, say). */
  constructor(seed: number, stream = 0) {
    const low = seed >>> 0;
    const high = Math.floor(seed / 2 ** 32) >>> 0;
    const mixed = splitmix32(splitmix32(splitmix32(low) ^ high) ^ stream);
    this.a = splitmix32(mixed);
    this.b = splitmix32(this.a ^ 0x9e3779b9);
    this.c = splitmix32(this.b ^ 0x85ebca6b);
    this.d = splitmix32(this.c ^ 0xc2b2ae35) | 1; // never all zero, the one state that stands still
  }

  /** A whole number of 32 random bits. */
  uint32(): number {
    const product = Math.imul(this.b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result;
  }

  /** Uniform on [0, 1), in steps of 2^-32. */
  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform on 0 … n-1, for n well below 2^32 (the bias is below n / 2^32). */
  below(n: number): number {
    return Math.floor(this.float() * n);
  }

  /** Fisher–Yates: afterwards the first `count` entries are a random sample without replacement, in random order. */
  shuffle(items: Uint32Array, count = items.length): void {
    for (let i = 0; i < count && i < items.length - 1; i++) {
      const j = i + this.below(items.length - i);
      const swap = items[i];
      items[i] = items[j];
      items[j] = swap;
    }
  }
}

/** Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014; the 32-bit finaliser of MurmurHash3. */
function splitmix32(x: number): number {
  let z = (x + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
