/** xoshiro128** as in core/rng.ts, on 16 bytes of state. */

export function random(state: usize): u32 {
  let a = load<u32>(state);
  let b = load<u32>(state, 4);
  let c = load<u32>(state, 8);
  let d = load<u32>(state, 12);
  const result = rotl<u32>(b * 5, 7) * 9;
  const t = b << 9;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= t;
  d = rotl<u32>(d, 11);
  store<u32>(state, a);
  store<u32>(state, b, 4);
  store<u32>(state, c, 8);
  store<u32>(state, d, 12);
  return result;
}

/** Uniform on [0, 1). */
export function randomShare(state: usize): f64 {
  return <f64>random(state) / 4294967296;
}

/** Uniform on 0 … n-1. */
export function below(state: usize, n: i32): i32 {
  return <i32>(randomShare(state) * <f64>n);
}
