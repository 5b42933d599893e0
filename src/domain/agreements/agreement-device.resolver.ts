import { Arg, Args, Authorized, ID, Int, Mutation, Query, Resolver } from 'type-graphql';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { AgreementDeviceService } from './agreement-device.service.js';
import {
  AdmitDeviceInput,
  type AdmitDevicePayload,
  AdmitDeviceResult,
  type AgreementDevice,
  AgreementDeviceConnection,
  DismissDeviceInput,
  type DismissDevicePayload,
  DismissDeviceResult,
} from './agreement-device.types.js';

@Resolver()
export class AgreementDeviceResolver {
  constructor(private readonly admissions: AgreementDeviceService) {}

  @Authorized('agreement:read')
  @Query(() => AgreementDeviceConnection, {
    description: 'The devices that an agreement admits. The provider sees their thumbprints, and nothing else of them.',
  })
  agreementDevices(
    @CurrentScope() scope: Scope,
    @Arg('agreementId', () => ID, { description: 'The agreement.' }) agreementId: string,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<AgreementDevice>> {
    return this.admissions.list(scope, agreementId, page);
  }

  @Authorized('agreement:read')
  @Query(() => Int, { description: 'How many devices an agreement admits.' })
  agreementDeviceCount(
    @CurrentScope() scope: Scope,
    @Arg('agreementId', () => ID, { description: 'The agreement.' }) agreementId: string,
  ): Promise<number> {
    return this.admissions.count(scope, agreementId);
  }

  @Authorized('application:manage')
  @Mutation(() => AdmitDeviceResult, {
    description: 'Lets a device of the tenant use an agreement whose terms ask for devices.',
  })
  async admitDevice(
    @CurrentScope() scope: Scope,
    @Arg('input', () => AdmitDeviceInput, { description: 'Which device, which agreement.' }) input: AdmitDeviceInput,
  ): Promise<AdmitDevicePayload> {
    return { agreementDevice: await this.admissions.admit(scope, input) };
  }

  @Authorized('application:manage')
  @Mutation(() => DismissDeviceResult, { description: 'Ends the use of an agreement by a device, at once.' })
  async dismissDevice(
    @CurrentScope() scope: Scope,
    @Arg('input', () => DismissDeviceInput, { description: 'Which device, which agreement.' })
    input: DismissDeviceInput,
  ): Promise<DismissDevicePayload> {
    return { deviceId: await this.admissions.dismiss(scope, input) };
  }
}
