/** Going on from a boosted model fitted before: its trees stay, and new ones are grown on what they leave. */
import { featureMatrix } from '../core/feature-matrix.js';
import { type Loss } from '../core/loss.js';
import { type Feature, type FittedModel, type TreeModel } from '../core/model.js';
import { scorerOf } from '../core/scorer.js';
import { SpecError } from '../core/spec-error.js';
import { type Table } from '../core/table.js';
import { type Target } from '../core/target.js';

/** An earlier model, and its raw scores of training and validation rows by output. */
export interface Earlier {
  readonly model: TreeModel;
  readonly train: readonly Float64Array[];
  readonly validation: readonly Float64Array[];
}

/**
 * @param features of the new training
 * @throws SpecError WARM_START_MISMATCH, naming the difference, unless both learn the same answer from the same features
 */
export function goOnFrom(
  fitted: FittedModel,
  features: readonly Feature[],
  { target, loss }: { readonly target: Target; readonly loss: Loss },
  table: Table,
  rows: { readonly train: Uint32Array; readonly validation: Uint32Array },
): Earlier {
  const { model } = fitted;
  if (model.family !== 'trees' || model.treeOutput === null || model.aggregate !== 'sum')
    return refuse('it was not learned by boosting');
  if (fitted.task !== target.task) refuse(`its task is ${fitted.task.toUpperCase()}`);
  if (JSON.stringify(fitted.classes) !== JSON.stringify(target.classes))
    refuse('its classes are others, or in another order');
  if (model.link !== loss.link || model.base.length !== loss.outputs) refuse('its objective is another one');
  const known = new Map(model.features.map((feature) => [feature.column, feature]));
  const missing = features.find(({ column }) => !known.has(column));
  if (missing !== undefined) refuse(`it does not know the column "${missing.column}"`);
  const at = model.features.findIndex((feature, f) => JSON.stringify(feature) !== JSON.stringify(features[f]));
  if (at >= 0 || features.length !== model.features.length)
    refuse(`the column "${model.features[Math.max(at, 0)]!.column}" is used otherwise, or has other categories`);
  return { model, train: scores(model, table, rows.train), validation: scores(model, table, rows.validation) };
}

function refuse(difference: string): never {
  throw new SpecError(
    'WARM_START_MISMATCH',
    'warmStartFrom',
    `The training cannot go on from that version: ${difference}.`,
  );
}

/** Raw scores of table rows, by output. */
function scores(model: TreeModel, table: Table, rows: Uint32Array): Float64Array[] {
  const out = Array.from(model.base, () => new Float64Array(rows.length));
  const fill = featureMatrix(model.features, table);
  const scorer = scorerOf(model, rows.length);
  for (let from = 0; from < rows.length; from += scorer.blockRows) {
    const size = Math.min(scorer.blockRows, rows.length - from);
    fill(scorer.block, rows, from, size);
    scorer.score(size);
    for (let i = 0, at = 0; i < size; i++) for (const column of out) column[from + i] = scorer.raw[at++]!;
  }
  scorer.close();
  return out;
}
