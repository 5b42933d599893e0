import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { BrokenDataLimit, connectionOf, DateTime, resultOf } from '../../platform/graphql.js';
import type { Purpose } from './purpose.js';
import { PurposeEnum } from './terms.types.js';

const PURPOSES = 'What models trained on it may be asked for, with what is below; null: anything.';
const REGIONS = 'Regions in which they may answer; null: anywhere. Agreements have to name them too.';
const OFFERED = 'Whether they may be offered to other tenants at all.';
const UNTIL = 'The first moment at which they may answer others no more; null: for ever.';

@ObjectType({ description: 'Limits of the use of a dataset version; they follow it into every model trained on it.' })
export class DataLicence {
  @Field(() => ID, {
    description:
      'For which it was declared: the dataset version itself, or the nearest earlier version of its dataset.',
  })
  datasetVersionId: string;

  @Field(() => [PurposeEnum], { nullable: true, description: PURPOSES })
  purposes: readonly Purpose[] | null;

  @Field(() => [String], { nullable: true, description: REGIONS })
  regions: readonly string[] | null;

  @Field(() => Boolean, { description: OFFERED })
  mayBeOffered: boolean;

  @Field(() => DateTime, { nullable: true, description: UNTIL })
  until: Date | null;

  @Field(() => DateTime, { description: 'When it was declared.' })
  declaredAt: Date;
}

@ObjectType({ description: 'An offer or agreement that stands although the data forbid it by now.' })
export class LicenceConflict extends BrokenDataLimit {
  @Field(() => ID, { description: 'The agreement.' })
  agreementId: string;

  @Field(() => String, { description: 'Why, in a sentence.' })
  sentence: string;
}
export const LicenceConflictConnection = connectionOf(LicenceConflict);

@InputType({ description: 'Limits of the use of a dataset version, in place of those declared before.' })
export class DeclareDataLicenceInput {
  @Field(() => ID, { description: 'The dataset version.' })
  datasetVersionId: string;

  @Field(() => [PurposeEnum], { nullable: true, description: PURPOSES })
  purposes?: Purpose[] | null;

  @Field(() => [String], { nullable: true, description: REGIONS })
  regions?: string[] | null;

  @Field(() => Boolean, { description: OFFERED })
  mayBeOffered: boolean;

  @Field(() => DateTime, { nullable: true, description: UNTIL })
  until?: Date | null;
}

@ObjectType({ description: 'The limits that were declared.' })
export class DeclareDataLicencePayload {
  @Field(() => DataLicence, { description: 'The limits.' })
  licence: DataLicence;
}
export const DeclareDataLicenceResult = resultOf(DeclareDataLicencePayload);
