import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, resultOf } from '../../platform/graphql.js';

@ObjectType({ description: 'A device of the consumer that an agreement admits.' })
export class AgreementDevice {
  @Field(() => ID, { description: 'The agreement.' })
  agreementId: string;

  @Field(() => ID, { nullable: true, description: 'The device; null to the provider.' })
  deviceId: string | null;

  @Field(() => String, { description: 'SHA-256 of its public key (RFC 7638), base64url.' })
  thumbprint: string;

  @Field(() => DateTime, { description: 'Since when.' })
  admittedAt: Date;
}

export const AgreementDeviceConnection = connectionOf(AgreementDevice);

@InputType({ description: 'Which device of the consumer may use which agreement.' })
export class AdmitDeviceInput {
  @Field(() => ID, { description: 'The agreement.' })
  agreementId: string;

  @Field(() => ID, { description: 'The device.' })
  deviceId: string;
}

@ObjectType({ description: 'The agreement admits the device.' })
export class AdmitDevicePayload {
  @Field(() => AgreementDevice, { description: 'The device under the agreement.' })
  agreementDevice: AgreementDevice;
}
export const AdmitDeviceResult = resultOf(AdmitDevicePayload);

@InputType({ description: 'Which device of the consumer may use an agreement no longer.' })
export class DismissDeviceInput extends AdmitDeviceInput {}

@ObjectType({ description: 'The agreement admits the device no longer; under others nothing has changed.' })
export class DismissDevicePayload {
  @Field(() => ID, { description: 'The device.' })
  deviceId: string;
}
export const DismissDeviceResult = resultOf(DismissDevicePayload);
