/**
 * Density estimates over points of a search space: a mixture of one kernel around each point and of the uniform density, which
 * keeps every part of the space possible. Kernels are products over the dimensions (the multivariate estimator of Falkner, Klein
 * & Hutter, "BOHB", 2018), so that what goes well together is drawn together:
 *
 *   number   normal around the point, cut off at 0 and 1
 *   choice   the point's value with 1 - e, all values alike with e (Aitchison & Aitken, 1976)
 *
 * with a bandwidth of WIDTH n^(-1/(d + 4)) (Scott's rule) for numbers and as much for e.
 */
import { type Rng } from '../core/rng.js';
import { type Point } from './space.js';
import { type Dimension } from './space-spec.js';

const WIDTH = 0.15;
const LEAST_WIDTH = 0.03;
const DRAWS = 20;

export class Parzen {
  private readonly bandwidth: number;

  constructor(
    private readonly dimensions: readonly Dimension[],
    private readonly points: readonly Point[],
  ) {
    const n = Math.max(1, points.length);
    this.bandwidth = Math.max(LEAST_WIDTH, WIDTH * n ** (-1 / (dimensions.length + 4)));
  }

  /** A draw: near one of the points, or, as likely as near any one of them, anywhere. */
  draw(rng: Rng): number[] {
    const center = this.points[rng.below(this.points.length + 1)];
    return this.dimensions.map((dimension, d) => {
      const at = center?.[d];
      if (at === undefined || at === null) return rng.float();
      if (dimension.kind === 'CHOICE') return rng.float() < this.bandwidth ? rng.float() : at;
      return this.near(at, rng);
    });
  }

  /** log of the density at a point. Dimensions that do not apply, there or at a kernel's center, tell nothing. */
  logDensity(point: Point): number {
    let sum = 1;
    for (const center of this.points) {
      let product = 1;
      this.dimensions.forEach((dimension, d) => {
        const x = point[d];
        const at = center[d];
        if (x == null || at == null) return;
        product *= dimension.kind === 'CHOICE' ? this.choice(dimension.values.length, x, at) : this.normal(x, at);
      });
      sum += product;
    }
    return Math.log(sum / (this.points.length + 1));
  }

  private choice(count: number, x: number, at: number): number {
    const isSame = Math.floor(x * count) === Math.floor(at * count);
    // As a density over the unit interval, of which each value has 1 / count.
    return this.bandwidth + (isSame ? (1 - this.bandwidth) * count : 0);
  }

  private normal(x: number, at: number): number {
    const z = (x - at) / this.bandwidth;
    const inside = normalShare((1 - at) / this.bandwidth) - normalShare(-at / this.bandwidth);
    return Math.exp((-z * z) / 2) / (Math.sqrt(2 * Math.PI) * this.bandwidth * inside);
  }

  private near(at: number, rng: Rng): number {
    for (let i = 0; i < DRAWS; i++) {
      // Box and Muller, 1958; 1 - u is never 0.
      const z = Math.sqrt(-2 * Math.log(1 - rng.float())) * Math.cos(2 * Math.PI * rng.float());
      const x = at + this.bandwidth * z;
      if (x >= 0 && x < 1) return x;
    }
    return at;
  }
}

/** Distribution function of the standard normal, to 1e-4 (a logistic of a cubic; Page, 1977). */
function normalShare(z: number): number {
  return 1 / (1 + Math.exp(-(1.5957691 * z + 0.07135481 * z ** 3)));
}
