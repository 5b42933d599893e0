import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, Node, resultOf } from '../../platform/graphql.js';

@ObjectType({
  implements: Node,
  description:
    'Something on which an application runs, known by a key whose private half never leaves it (proof of possession, RFC 9449).',
})
export class Device extends Node {
  @Field(() => ID, { description: 'Whose device it is.' })
  applicationId: string;

  @Field(() => String, { description: 'Its name, for people of the tenant.' })
  name: string;

  @Field(() => DateTime, { description: 'When it was registered.' })
  createdAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When it was revoked, or null.' })
  revokedAt: Date | null;
}

export const DeviceConnection = connectionOf(Device);

@InputType({ description: 'A new device of an application.' })
export class RegisterDeviceInput {
  @Field(() => ID, { description: 'Whose device it will be.' })
  applicationId: string;

  @Field(() => String, { description: 'Its name, for people: 1 to 200 characters.' })
  name: string;

  @Field(() => String, {
    description: 'The public half of its key: a JWK (RFC 7517) of EC P-256 or Ed25519, in JSON.',
  })
  publicKey: string;
}

@ObjectType({ description: 'The device was registered; an agreement that asks for devices has yet to admit it.' })
export class RegisterDevicePayload {
  @Field(() => Device, { description: 'The device.' })
  device: Device;
}
export const RegisterDeviceResult = resultOf(RegisterDevicePayload);

@InputType({ description: 'Which device ends.' })
export class RevokeDeviceInput {
  @Field(() => ID, { description: 'The device.' })
  deviceId: string;
}

@ObjectType({ description: 'The device proves nothing any more, under whichever agreement.' })
export class RevokeDevicePayload {
  @Field(() => Device, { description: 'The device.' })
  device: Device;
}
export const RevokeDeviceResult = resultOf(RevokeDevicePayload);
