/**
 * Raw columns -> features, learned from the training rows only: which columns are of use, which categories are known, where
 * numbers are centred. The values themselves are computed by core/feature-matrix.ts, for training as for prediction.
 */
import { DATE_PARTS } from '../core/calendar.js';
import { featureMatrix, type NumericFeature } from '../core/feature-matrix.js';
import { type Lesson } from '../core/learned.js';
import { type Feature } from '../core/model.js';
import { SpecError } from '../core/spec-error.js';
import { type CategoryColumn, type Column, type Table } from '../core/table.js';
import { knownCategories, type KnownCategories } from './categories.js';
import { type LinearFeatureParameters, type TreeFeatureParameters } from './feature-spec.js';
import { type ImputationRule, type ScalingRule, fitScaling } from './scaling.js';
import { drawFolds, encodeTarget } from './target-encoding.js';

export interface FittedFeatures {
  /** Grouped by column, in the order of the columns. */
  readonly features: readonly Feature[];
  /**
   * What gives the training rows the same features, one by one. It differs for target encoding alone, whose values for
   * training rows come out of fold: they are columns of numbers that `table` has besides the raw ones.
   */
  readonly training: { readonly table: Table; readonly features: readonly Feature[] };
  /** Columns of use, in the order of the table. */
  readonly columns: readonly string[];
  /** Categories known of each category column. */
  readonly categories: ReadonlyMap<string, readonly string[]>;
  readonly warnings: readonly string[];
}

/** What features are learned from. */
export type FeatureLesson = Pick<Lesson, 'table' | 'columns' | 'trainRows' | 'target' | 'weights' | 'seed'>;

/** Most categories of one column with a value of their own: one byte a row, with room for missing. */
export const MAX_CATEGORIES = 254;

/** Numbers as they are, with missing ones; categories as codes unless the parameters say otherwise. */
export function fitTreeFeatures(lesson: FeatureLesson, parameters: TreeFeatureParameters): FittedFeatures {
  const encoding = parameters.categoryEncoding === 'AUTO' ? 'NATIVE' : parameters.categoryEncoding;
  return new FeatureMaker(lesson, { ...parameters, encoding, scale: null, missingIndicator: false }).fit();
}

/**
 * Numbers imputed and scaled; categories one-hot, with an indicator of missing or unseen, unless the parameters say otherwise.
 * @throws SpecError BAD_PARAMETER for category codes, which are no numbers
 */
export function fitLinearFeatures(lesson: FeatureLesson, parameters: LinearFeatureParameters): FittedFeatures {
  const encoding = parameters.categoryEncoding === 'AUTO' ? 'ONE_HOT' : parameters.categoryEncoding;
  if (encoding === 'NATIVE')
    throw new SpecError(
      'BAD_PARAMETER',
      'categoryEncoding',
      'A linear model takes categories as ONE_HOT, ORDINAL or TARGET.',
    );
  return new FeatureMaker(lesson, { ...parameters, encoding, scale: parameters }).fit();
}

interface Pipeline {
  readonly encoding: 'NATIVE' | 'ONE_HOT' | 'ORDINAL' | 'TARGET';
  readonly minCategoryRows: number;
  readonly targetSmooth: number;
  readonly dateParts: boolean;
  /** Null: numbers stay as they are, missing ones too. */
  readonly scale: { readonly scaling: ScalingRule; readonly imputation: ImputationRule } | null;
  readonly missingIndicator: boolean;
}

/** A feature, and the values of the training rows where they are not the feature's. */
interface Made {
  readonly feature: Feature;
  readonly outOfFold?: Float64Array;
}

class FeatureMaker {
  private readonly made: Made[] = [];
  private folds: Uint8Array | null = null;

  constructor(
    private readonly lesson: FeatureLesson,
    private readonly pipeline: Pipeline,
  ) {}

  fit(): FittedFeatures {
    const { table, columns: names } = this.lesson;
    const columns: string[] = [];
    const categories = new Map<string, readonly string[]>();
    const warnings: string[] = [];
    const wanted = new Set(names);
    for (const column of table.columns) {
      if (!wanted.has(column.name)) continue;
      const known = column.kind === 'category' ? this.know(column) : null;
      const made =
        typeof known === 'string'
          ? known
          : column.kind === 'category'
            ? this.fromCategories(column, known!)
            : this.fromNumbers(column);
      if (typeof made === 'string') {
        warnings.push(`Column "${column.name}" is left out: ${made}.`);
        continue;
      }
      if (known !== null && typeof known !== 'string') categories.set(column.name, [...known.own, ...known.others]);
      columns.push(column.name);
      this.made.push(...made);
    }
    return {
      features: this.made.map(({ feature }) => feature),
      training: this.training(),
      columns,
      categories,
      warnings,
    };
  }

  private know(column: CategoryColumn): KnownCategories | string {
    const { encoding, minCategoryRows } = this.pipeline;
    const hasLimit = encoding === 'NATIVE' || encoding === 'ONE_HOT';
    return knownCategories(column, this.lesson.trainRows, minCategoryRows, hasLimit ? MAX_CATEGORIES : undefined);
  }

  private fromNumbers(column: Exclude<Column, CategoryColumn>): Made[] | string {
    const { trainRows } = this.lesson;
    const problem = numberProblem(column.values, trainRows);
    if (problem !== null) return problem;
    const { kind, name } = column;
    const plain = { column: name, impute: null, mean: 0, scale: 1 } as const;
    const own = this.scaled({ kind, ...plain });
    const parts =
      kind === 'date' && this.pipeline.dateParts
        ? DATE_PARTS.flatMap((part) => this.scaled({ kind: 'datePart', part, ...plain }) ?? [])
        : [];
    const features: Feature[] = own === null ? parts : [own, ...parts];
    if (this.pipeline.missingIndicator && trainRows.some((row) => Number.isNaN(column.values[row]))) {
      features.push({ kind: 'missing', column: name, of: kind });
    }
    if (features.length === 0) return 'it does not vary, or has values too large to be scaled';
    return features.map((feature) => ({ feature }));
  }

  /** Null where the training rows have but one value, or infinite ones that cannot be scaled. */
  private scaled(feature: NumericFeature): NumericFeature | null {
    const { scale } = this.pipeline;
    const { table, trainRows } = this.lesson;
    if (scale === null && feature.kind !== 'datePart') return feature;
    const values = featureColumns([feature], table, trainRows)[0];
    if (scale === null) return values.every((value) => Object.is(value, values[0])) ? null : feature;
    const fitted = fitScaling(values, scale.scaling, scale.imputation);
    return fitted === null ? null : { ...feature, ...fitted };
  }

  private fromCategories(column: CategoryColumn, { own, others }: KnownCategories): Made[] | string {
    const { encoding, missingIndicator, scale } = this.pipeline;
    const { name } = column;
    const made: Made[] = [];
    if (encoding === 'NATIVE')
      return [{ feature: { kind: 'code', column: name, categories: own, ...(others.length > 0 ? { others } : {}) } }];
    if (encoding === 'ONE_HOT') {
      made.push(...own.map((category): Made => ({ feature: { kind: 'oneHot', column: name, category } })));
      if (others.length > 0) made.push({ feature: { kind: 'oneOf', column: name, categories: others } });
      // Trees tell a missing value by its having none of the others.
      if (scale !== null) made.push({ feature: { kind: 'oneHot', column: name, category: null } });
      return made;
    }
    made.push(...(encoding === 'ORDINAL' ? this.ordinal(column, own, others) : this.target(column, own, others)));
    if (missingIndicator) {
      const categories = [...own, ...others];
      const feature: Feature = {
        kind: 'lookup',
        column: name,
        categories,
        values: new Float32Array(categories.length),
        otherwise: 1,
      };
      if (featureColumns([feature], this.lesson.table, this.lesson.trainRows)[0].includes(1)) made.push({ feature });
    }
    return made.length > 0 ? made : 'its categories do not tell rows apart';
  }

  /** Numbers in the order of the names, one more for the rare ones; missing and unseen are missing numbers. */
  private ordinal(column: CategoryColumn, own: readonly string[], others: readonly string[]): Made[] {
    const sorted = [...own].sort((a, b) => (a < b ? -1 : 1));
    const values = Float32Array.from([...sorted.keys(), ...others.map(() => sorted.length)]);
    const categories = [...sorted, ...others];
    const feature = { kind: 'lookup', column: column.name, categories, values, otherwise: NaN } as const;
    return this.scaledLookup(feature, featureColumns([feature], this.lesson.table, this.lesson.trainRows)[0]);
  }

  /** One feature for a number or the positive class, else one for each class: the share of the class among the category's rows. */
  private target(column: CategoryColumn, own: readonly string[], others: readonly string[]): Made[] {
    const { trainRows, target, weights, seed } = this.lesson;
    this.folds ??= drawFolds(trainRows.length, seed, FOLD_STREAM);
    const categories = [...own, ...others];
    const code = new Map(categories.map((category, i) => [category, Math.min(i, own.length)]));
    const unknown = own.length + 1;
    const groupOf = Int32Array.from(column.categories, (category) => code.get(category) ?? unknown);
    const groups = Int32Array.from(trainRows, (row) => (column.codes[row] < 0 ? unknown : groupOf[column.codes[row]]));
    const rowWeights = weights === null ? null : Float64Array.from(trainRows, (row) => weights[row]);
    const classes = target.task === 'multiclass' ? [...target.classes!.keys()] : [target.task === 'binary' ? 1 : null];
    return classes.flatMap((wanted) => {
      const y = Float64Array.from(trainRows, (row) =>
        wanted === null ? target.y[row] : target.y[row] === wanted ? 1 : 0,
      );
      const codes = encodeTarget(groups, unknown + 1, y, rowWeights, this.folds!, this.pipeline.targetSmooth);
      const values = Float32Array.from(categories, (_, i) => codes.values[Math.min(i, own.length)]);
      const feature = {
        kind: 'lookup',
        column: column.name,
        categories,
        values,
        otherwise: Math.fround(codes.values[unknown]),
      } as const;
      return this.scaledLookup(feature, Float32Array.from(codes.outOfFold), true);
    });
  }

  /** The lookup with its values imputed and scaled as `trained`, those of the training rows, ask for. */
  private scaledLookup(
    feature: Extract<Feature, { kind: 'lookup' }>,
    trained: Float32Array,
    isOutOfFold = false,
  ): Made[] {
    const { scale } = this.pipeline;
    if (scale === null) return [{ feature, ...(isOutOfFold ? { outOfFold: Float64Array.from(trained) } : {}) }];
    const scaling = fitScaling(trained, scale.scaling, scale.imputation);
    if (scaling === null) return [];
    const scaled = (values: Float32Array): Float32Array => {
      const column = { name: '', kind: 'number', values: Float64Array.from(values) } as const;
      const plain = { kind: 'number', column: '', ...scaling } as const;
      return featureColumns([plain], { rowCount: values.length, columns: [column] }, rowNumbers(values.length))[0];
    };
    const [otherwise] = scaled(Float32Array.of(feature.otherwise));
    return [
      {
        feature: { ...feature, values: scaled(feature.values), otherwise },
        ...(isOutOfFold ? { outOfFold: Float64Array.from(scaled(trained)) } : {}),
      },
    ];
  }

  private training(): FittedFeatures['training'] {
    const { table, trainRows } = this.lesson;
    const names = new Set(table.columns.map(({ name }) => name));
    const extra: Column[] = [];
    const features = this.made.map(({ feature, outOfFold }, f): Feature => {
      if (outOfFold === undefined) return feature;
      let name = `${feature.column} out of fold ${f}`;
      while (names.has(name)) name += "'";
      const values = new Float64Array(table.rowCount).fill(NaN);
      trainRows.forEach((row, i) => (values[row] = outOfFold[i]));
      extra.push({ name, kind: 'number', values });
      return { kind: 'number', column: name, impute: null, mean: 0, scale: 1 };
    });
    return { table: extra.length === 0 ? table : { ...table, columns: [...table.columns, ...extra] }, features };
  }
}

/** Stream of the seed from which the folds of target encoding are drawn. */
const FOLD_STREAM = 0xf01d;

const rowNumbers = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);

function numberProblem(values: Float64Array, rows: Uint32Array): string | null {
  let first = NaN;
  let missing = 0;
  for (const row of rows) {
    const value = Math.fround(values[row]);
    if (Number.isNaN(value)) missing++;
    else if (Number.isNaN(first)) first = value;
    else if (value !== first) return null;
  }
  if (missing === rows.length) return 'it has no values in the training rows';
  return missing === 0 ? 'it has the same value in every training row' : null;
}

/** Features by column for some rows of the table: result[f][i] is feature f of table row rows[i]. */
export function featureColumns(features: readonly Feature[], table: Table, rows: Uint32Array): Float32Array[] {
  return features.map((feature) => {
    const column = new Float32Array(rows.length);
    featureMatrix([feature], table)(column, rows, 0, rows.length);
    return column;
  });
}
