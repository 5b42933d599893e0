import { Field, InputType, ObjectType, registerEnumType } from 'type-graphql';
import { type Constraints, type Direction, DIRECTIONS } from '../../ml/spec.js';

const DirectionEnum = Object.fromEntries(DIRECTIONS.map((name) => [name, name])) as { [D in Direction]: D };
registerEnumType(DirectionEnum, {
  name: 'MonotoneDirection',
  description: 'How a prediction goes with a column, all else equal.',
  valuesConfig: {
    INCREASING: { description: 'It never falls as the column rises.' },
    DECREASING: { description: 'It never rises as the column rises.' },
  },
});

const MONOTONE =
  'Columns with which the prediction never falls, or never rises. Two classes: the score of the positive one; several classes cannot be held to it.';
const INTERACTIONS =
  'Groups of columns that may act together: all columns asked about on a path from the root of a tree to a leaf are in one group. A column in no group acts alone. Empty: all act together.';

@InputType({ description: 'A column and the way of the prediction with it.' })
export class MonotoneInput {
  @Field(() => String, { description: 'The column: numbers, dates, or true and false.' })
  column: string;

  @Field(() => DirectionEnum, { description: 'Which way.' })
  direction: Direction;
}

@InputType({ description: 'What is known beforehand, and a model may not contradict. For gradient boosting only.' })
export class ConstraintsInput implements Constraints {
  @Field(() => [MonotoneInput], { nullable: true, description: MONOTONE })
  monotone?: MonotoneInput[] | null;

  @Field(() => [[String]], { nullable: true, description: INTERACTIONS })
  interactions?: string[][] | null;
}

@ObjectType({ description: 'A column and the way of the prediction with it.' })
export class MonotoneConstraint {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => DirectionEnum, { description: 'Which way.' })
  direction: Direction;
}

@ObjectType({ description: 'What a model was held to.' })
export class TrainingConstraints {
  @Field(() => [MonotoneConstraint], { description: MONOTONE })
  monotone: readonly MonotoneConstraint[];

  @Field(() => [[String]], { description: INTERACTIONS })
  interactions: readonly (readonly string[])[];
}
