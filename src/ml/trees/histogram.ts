/**
 * Kernels: histograms of one feature over some rows. A cell per bin (the last one for missing values), each of several
 * float64 numbers side by side, so that one row touches one cache line.
 *
 *   gradient histogram   cell = [Σ g, Σ h, rows]                       3 numbers
 */

/** Numbers in a gradient cell. */
export const GRADIENT_CELL = 3;

/**
 * cells[at + 3 bins[r] …] += [g, h, 1] for the rows r = rows[begin … end).
 * `g` and `h` are in the order of `rows`: g[i] belongs to rows[begin + i].
 */
export function addGradients(
  cells: Float64Array,
  at: number,
  bins: Uint8Array,
  rows: Uint32Array,
  begin: number,
  end: number,
  g: Float64Array,
  h: Float64Array,
): void {
  for (let i = begin, j = 0; i < end; i++, j++) {
    const cell = at + bins[rows[i]] * GRADIENT_CELL;
    cells[cell] += g[j];
    cells[cell + 1] += h[j];
    cells[cell + 2] += 1;
  }
}

/** parent -= child: what is left is the other child's histogram, at the cost of its bins instead of its rows. */
export function subtract(parent: Float64Array, child: Float64Array): void {
  for (let i = 0; i < parent.length; i++) parent[i] -= child[i];
}
