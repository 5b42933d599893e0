/** A tree under construction: parallel arrays that grow, then become a fitted `Tree`. */
import { type Tree } from '../core/model.js';
import { type ChosenSplit } from './candidate.js';

export class TreeBuilder {
  private count = 0;
  private feature = new Int32Array(64);
  private threshold = new Float32Array(64);
  private missingLeft = new Uint8Array(64);
  private left = new Int32Array(64);
  private right = new Int32Array(64);
  private value: Float32Array;
  private readonly leftCodes: (Int32Array | null)[] = [];

  /** @param width numbers in a leaf. */
  constructor(private readonly width: number) {
    this.value = new Float32Array(64 * width);
  }

  addLeaf(): number {
    if (this.count === this.feature.length) this.enlarge();
    const node = this.count++;
    this.feature[node] = this.left[node] = this.right[node] = -1;
    this.leftCodes.push(null);
    return node;
  }

  /** Makes a leaf into a split with two new leaves; returns the left one, the right one is the next number. */
  split(node: number, feature: number, split: ChosenSplit): number {
    const left = this.addLeaf();
    const right = this.addLeaf();
    this.feature[node] = feature;
    this.threshold[node] = split.threshold;
    this.missingLeft[node] = split.missingLeft ? 1 : 0;
    this.leftCodes[node] = split.leftCodes;
    this.left[node] = left;
    this.right[node] = right;
    return left;
  }

  setValue(node: number, k: number, value: number): void {
    this.value[node * this.width + k] = value;
  }

  build(): Tree {
    const n = this.count;
    return {
      feature: this.feature.slice(0, n),
      threshold: this.threshold.slice(0, n),
      missingLeft: this.missingLeft.slice(0, n),
      leftCodes: this.leftCodes,
      left: this.left.slice(0, n),
      right: this.right.slice(0, n),
      value: this.value.slice(0, n * this.width),
    };
  }

  private enlarge(): void {
    const size = this.feature.length * 2;
    const grown = <T extends Int32Array | Float32Array | Uint8Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.feature = grown(new Int32Array(size), this.feature);
    this.threshold = grown(new Float32Array(size), this.threshold);
    this.missingLeft = grown(new Uint8Array(size), this.missingLeft);
    this.left = grown(new Int32Array(size), this.left);
    this.right = grown(new Int32Array(size), this.right);
    this.value = grown(new Float32Array(size * this.width), this.value);
  }
}
