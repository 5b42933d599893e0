import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { DeviceRow } from './device.entity.js';
import type { DeviceService } from './device.service.js';
import {
  Device,
  DeviceConnection,
  RegisterDeviceInput,
  type RegisterDevicePayload,
  RegisterDeviceResult,
  RevokeDeviceInput,
  type RevokeDevicePayload,
  RevokeDeviceResult,
} from './device.types.js';

@Resolver(() => Device)
export class DeviceResolver {
  constructor(private readonly registry: DeviceService) {}

  @Authorized('application:manage')
  @Query(() => Device, { nullable: true, description: 'A device of the tenant.' })
  async device(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'Its id.' }) id: string,
  ): Promise<Device> {
    const device = await this.registry.find(scope, id);
    if (!device) throw notFound('device');
    return device;
  }

  @Authorized('application:manage')
  @Query(() => DeviceConnection, { description: 'The devices of one application or of all, oldest first.' })
  devices(
    @CurrentScope() scope: Scope,
    @Arg('applicationId', () => ID, { nullable: true, description: 'Only those of this application.' })
    applicationId: string | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<Device>> {
    return this.registry.list(scope, applicationId ?? null, page);
  }

  @Authorized('application:manage')
  @Mutation(() => RegisterDeviceResult, { description: 'Registers a device by the public half of its key.' })
  async registerDevice(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RegisterDeviceInput, { description: 'The device.' }) input: RegisterDeviceInput,
  ): Promise<RegisterDevicePayload> {
    return { device: await this.registry.register(scope, input) };
  }

  @Authorized('application:manage')
  @Mutation(() => RevokeDeviceResult, {
    description: 'Ends a device at once, under every agreement; its key cannot be registered again.',
  })
  async revokeDevice(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RevokeDeviceInput, { description: 'The device.' }) input: RevokeDeviceInput,
  ): Promise<RevokeDevicePayload> {
    return { device: await this.registry.revoke(scope, input.deviceId) };
  }

  @FieldResolver(() => String, {
    description: 'SHA-256 of its key (RFC 7638), base64url: what providers of agreements see of it.',
  })
  thumbprint(@Root() { thumbprint }: DeviceRow): string {
    return thumbprint.toString('base64url');
  }

  @FieldResolver(() => String, { description: 'The public half of its key: a JWK, in JSON.' })
  publicKey(@Root() { publicKey }: DeviceRow): string {
    return JSON.stringify(publicKey);
  }
}
