/**
 * Sums over all subsets of the players on a path of a tree, by size (Lundberg, Erion and Lee, 2018, algorithm 2: EXTEND, UNWIND).
 * Entry 0 stands for the root. For each entry: who decides, the share of rows that go on where he is unknown (`zero`), and whether
 * this row goes on where he is known (`one`: 0 or 1). weight[j] is the sum over the subsets of j players of the products of these
 * shares, each with the share of orders in which they come first. Paths of a recursion lie one after the other in the same arrays.
 */
export class SubsetPath {
  readonly who: Int32Array;
  readonly zero: Float64Array;
  readonly one: Float64Array;
  private readonly weight: Float64Array;

  /** @param longest entries of the longest path */
  constructor(longest: number) {
    const room = (longest * (longest + 1)) / 2;
    this.who = new Int32Array(room);
    this.zero = new Float64Array(room);
    this.one = new Float64Array(room);
    this.weight = new Float64Array(room);
  }

  /** A copy of the path at `from` with entries 0 .. last - 1, behind it; where it begins. */
  copy(from: number, last: number): number {
    const at = from + last + 1;
    for (let i = 0; i <= last; i++) {
      this.who[at + i] = this.who[from + i]!;
      this.zero[at + i] = this.zero[from + i]!;
      this.one[at + i] = this.one[from + i]!;
      this.weight[at + i] = this.weight[from + i]!;
    }
    return at;
  }

  /** The entry of the player among 1 .. last, or 0. */
  find(at: number, last: number, player: number): number {
    let index = last;
    while (index > 0 && this.who[at + index] !== player) index--;
    return index;
  }

  /** Adds entry `last`. */
  extend(at: number, last: number, zero: number, one: number, player: number): void {
    const { weight } = this;
    this.who[at + last] = player;
    this.zero[at + last] = zero;
    this.one[at + last] = one;
    weight[at + last] = last === 0 ? 1 : 0;
    for (let i = last - 1; i >= 0; i--) {
      weight[at + i + 1]! += (one * weight[at + i]! * (i + 1)) / (last + 1);
      weight[at + i] = (zero * weight[at + i]! * (last - i)) / (last + 1);
    }
  }

  /** Takes entry `index` out again. */
  unwind(at: number, last: number, index: number): void {
    const { weight } = this;
    const one = this.one[at + index]!;
    const zero = this.zero[at + index]!;
    let next = weight[at + last]!;
    for (let i = last - 1; i >= 0; i--) {
      if (one !== 0) {
        const kept = weight[at + i]!;
        weight[at + i] = (next * (last + 1)) / ((i + 1) * one);
        next = kept - (weight[at + i]! * zero * (last - i)) / (last + 1);
      } else weight[at + i] = (weight[at + i]! * (last + 1)) / (zero * (last - i));
    }
    for (let i = index; i < last; i++) {
      this.who[at + i] = this.who[at + i + 1]!;
      this.zero[at + i] = this.zero[at + i + 1]!;
      this.one[at + i] = this.one[at + i + 1]!;
    }
  }

  /** What the weights would sum to without entry `index`. */
  sumWithout(at: number, last: number, index: number): number {
    const { weight } = this;
    const one = this.one[at + index]!;
    const zero = this.zero[at + index]!;
    let next = weight[at + last]!;
    let sum = 0;
    for (let i = last - 1; i >= 0; i--) {
      if (one !== 0) {
        const part = (next * (last + 1)) / ((i + 1) * one);
        sum += part;
        next = weight[at + i]! - (part * zero * (last - i)) / (last + 1);
      } else sum += (weight[at + i]! * (last + 1)) / (zero * (last - i));
    }
    return sum;
  }
}
