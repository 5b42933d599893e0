import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf, Node, resultOf, DateTime } from '../../platform/graphql.js';
import { PERMISSIONS, type Permission, type Role } from '../../platform/permissions.js';

/** GraphQL names have no colons: `dataset:read` is DATASET_READ. */
export const PermissionEnum = Object.fromEntries(
  Object.keys(PERMISSIONS).map((name) => [name.replace(':', '_').toUpperCase(), name]),
) as Record<string, Permission>;
registerEnumType(PermissionEnum, {
  name: 'Permission',
  description: 'What somebody may do. Every field of this API names the one that it needs.',
  valuesConfig: Object.fromEntries(
    Object.entries(PermissionEnum).map(([name, value]) => [name, { description: PERMISSIONS[value] }]),
  ),
});

export const RoleEnum = {
  OWNER: 'OWNER',
  ADMIN: 'ADMIN',
  DATA_SCIENTIST: 'DATA_SCIENTIST',
  STEWARD: 'STEWARD',
  VIEWER: 'VIEWER',
  AUDITOR: 'AUDITOR',
} as const satisfies Record<Role, Role>;
registerEnumType(RoleEnum, {
  name: 'Role',
  description: 'What a member is in a tenant: a set of permissions.',
  valuesConfig: {
    OWNER: { description: 'Everything in the tenant. There is always at least one.' },
    ADMIN: { description: 'Everything but signing agreements.' },
    DATA_SCIENTIST: { description: 'Data, training, models, endpoints, predictions.' },
    STEWARD: { description: 'Data and its deletion, agreements and their signature, the audit log.' },
    VIEWER: { description: 'Sees everything but the audit log; changes nothing.' },
    AUDITOR: { description: 'Sees everything, and reads the audit log; changes nothing.' },
  },
});

@ObjectType({
  implements: Node,
  description: 'An organisation. What it has is its own; agreements are the only bridge to others.',
})
export class Tenant extends Node {
  @Field(() => String, { description: 'Its name.' })
  name: string;

  @Field(() => DateTime, { description: 'When it was created.' })
  createdAt: Date;
}

@ObjectType({ implements: Node, description: 'A person as a member of a tenant.' })
export class Member extends Node {
  @Field(() => String, { description: 'The email address with which the person signs in.' })
  email: string;

  @Field(() => String, { description: 'The person’s name.' })
  name: string;

  @Field(() => RoleEnum, { description: 'What the person may do here.' })
  role: Role;

  @Field(() => DateTime, { description: 'Since when.' })
  createdAt: Date;
}

@ObjectType({
  implements: Node,
  description: 'A request to somebody to become a member. Its link is shown once, to whoever invited.',
})
export class Invitation extends Node {
  @Field(() => String, { description: 'Who is invited.' })
  email: string;

  @Field(() => RoleEnum, { description: 'What the person will be.' })
  role: Role;

  @Field(() => DateTime, { description: 'When it was made.' })
  createdAt: Date;

  @Field(() => DateTime, { description: 'Until when it can be accepted.' })
  expiresAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When it was accepted, or null.' })
  acceptedAt: Date | null;
}

@ObjectType({
  implements: Node,
  description: 'A program of the tenant that calls this API. Agreements and limits name applications, not keys.',
})
export class Application extends Node {
  @Field(() => String, { description: 'Its name, unique in the tenant.' })
  name: string;

  @Field(() => DateTime, { description: 'When it was created.' })
  createdAt: Date;
}

@ObjectType({
  implements: Node,
  description: 'A secret by which an application calls. The secret itself is shown once, when it is made.',
})
export class ApiKey extends Node {
  @Field(() => ID, { description: 'Whose key it is.' })
  applicationId: string;

  @Field(() => String, { description: 'Its name, for people.' })
  name: string;

  @Field(() => String, { description: 'The first letters of the secret.' })
  hint: string;

  @Field(() => [PermissionEnum], { description: 'What it may do.' })
  permissions: Permission[];

  @Field(() => DateTime, { description: 'When it was made.' })
  createdAt: Date;

  @Field(() => DateTime, { description: 'Until when it works.' })
  expiresAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When it was revoked, or null.' })
  revokedAt: Date | null;
}

export const TenantConnection = connectionOf(Tenant);
export const MemberConnection = connectionOf(Member);
export const InvitationConnection = connectionOf(Invitation);
export const ApplicationConnection = connectionOf(Application);
export const ApiKeyConnection = connectionOf(ApiKey);

@ObjectType({ description: 'A tenant of which the viewer is a member.' })
export class Membership {
  @Field(() => ID, { description: 'The tenant; send it as the header x-concordat-tenant, or switch to it.' })
  tenantId: string;

  @Field(() => String, { description: 'The tenant’s name.' })
  tenantName: string;

  @Field(() => RoleEnum, { description: 'What the viewer is there.' })
  role: Role;
}

@ObjectType({ description: 'A person who can sign in.' })
export class Account {
  @Field(() => ID, { description: 'Opaque and stable.' })
  id: string;

  @Field(() => String, { description: 'The email address with which the person signs in.' })
  email: string;

  @Field(() => String, { description: 'The person’s name.' })
  name: string;

  @Field(() => Boolean, {
    description: 'Whether the person operates the platform: creates tenants, and sees nothing in them.',
  })
  operator: boolean;
}

@ObjectType({ description: 'Who is asking.' })
export class Viewer {
  @Field(() => Account, { nullable: true, description: 'The person, or null for an API key.' })
  account: Account | null;

  @Field(() => ID, { nullable: true, description: 'The application, or null for a person.' })
  applicationId: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'The tenant in which this request works, or null if none is chosen.',
  })
  tenantId: string | null;

  @Field(() => [Membership], { description: 'Every tenant of which the person is a member.' })
  memberships: readonly Membership[];

  @Field(() => [PermissionEnum], { description: 'What this request may do.' })
  permissions: Permission[];
}

@InputType({ description: 'An email address and a password.' })
export class SignInInput {
  @Field(() => String, { description: 'The email address of the account.' })
  email: string;

  @Field(() => String, { description: 'Its password.' })
  password: string;
}

@ObjectType({ description: 'A session was opened; browsers keep it in a cookie.' })
export class SignInPayload {
  @Field(() => String, { description: 'The session’s token, for `authorization: Bearer`. Shown once.' })
  token: string;

  @Field(() => DateTime, { description: 'Until when it works.' })
  expiresAt: Date;
}
export const SignInResult = resultOf(SignInPayload);

@ObjectType({ description: 'The session is closed.' })
export class SignOutPayload {
  @Field(() => ID, { description: 'Which session it was.' })
  sessionId: string;
}
export const SignOutResult = resultOf(SignOutPayload);

@InputType({ description: 'Which tenant to work in.' })
export class SwitchTenantInput {
  @Field(() => ID, { description: 'One of the viewer’s tenants.' })
  tenantId: string;
}

@ObjectType({ description: 'The session works in another tenant from now on.' })
export class SwitchTenantPayload {
  @Field(() => Tenant, { description: 'The tenant.' })
  tenant: Tenant;
}
export const SwitchTenantResult = resultOf(SwitchTenantPayload);

@InputType({ description: 'The present and the future password.' })
export class ChangePasswordInput {
  @Field(() => String, { description: 'The present password.' })
  currentPassword: string;

  @Field(() => String, { description: 'The future one: 12 to 200 characters.' })
  newPassword: string;
}

@ObjectType({ description: 'The password is changed, and every other session of the account closed.' })
export class ChangePasswordPayload {
  @Field(() => ID, { description: 'The account.' })
  accountId: string;
}
export const ChangePasswordResult = resultOf(ChangePasswordPayload);

@InputType({ description: 'A new tenant.' })
export class CreateTenantInput {
  @Field(() => String, { description: 'Its name: 1 to 200 characters.' })
  name: string;

  @Field(() => String, { description: 'Who is invited to be its first owner.' })
  ownerEmail: string;
}

@ObjectType({ description: 'A tenant was created; its first owner is invited.' })
export class CreateTenantPayload {
  @Field(() => Tenant, { description: 'The tenant.' })
  tenant: Tenant;

  @Field(() => Invitation, { description: 'The invitation of the first owner.' })
  invitation: Invitation;

  @Field(() => String, { description: 'The link by which it is accepted. Shown once; pass it on to that person only.' })
  invitationLink: string;

  @Field(() => String, { description: 'The token in that link, for programs. Shown once.' })
  invitationToken: string;
}
export const CreateTenantResult = resultOf(CreateTenantPayload);

@InputType({ description: 'Who is invited, as what.' })
export class InviteMemberInput {
  @Field(() => String, { description: 'The person’s email address.' })
  email: string;

  @Field(() => RoleEnum, { description: 'What the person will be; nothing that may do more than the one who invites.' })
  role: Role;
}

@ObjectType({ description: 'Somebody is invited.' })
export class InviteMemberPayload {
  @Field(() => Invitation, { description: 'The invitation.' })
  invitation: Invitation;

  @Field(() => String, { description: 'The link by which it is accepted. Shown once; pass it on to that person only.' })
  invitationLink: string;

  @Field(() => String, { description: 'The token in that link, for programs. Shown once.' })
  invitationToken: string;
}
export const InviteMemberResult = resultOf(InviteMemberPayload);

@InputType({ description: 'An invitation, and who is new. A signed-in person sends the token only.' })
export class AcceptInvitationInput {
  @Field(() => String, { description: 'The token from the link.' })
  token: string;

  @Field(() => String, { nullable: true, description: 'The name of a new person.' })
  name?: string | null;

  @Field(() => String, { nullable: true, description: 'The password of a new person: 12 to 200 characters.' })
  password?: string | null;
}

@ObjectType({ description: 'The person is a member now. A new person signs in next.' })
export class AcceptInvitationPayload {
  @Field(() => ID, { description: 'The tenant that was joined.' })
  tenantId: string;

  @Field(() => ID, { description: 'The account that joined.' })
  accountId: string;
}
export const AcceptInvitationResult = resultOf(AcceptInvitationPayload);

@InputType({ description: 'Which member is to be what.' })
export class ChangeMemberRoleInput {
  @Field(() => ID, { description: 'The member.' })
  memberId: string;

  @Field(() => RoleEnum, { description: 'The future role.' })
  role: Role;
}

@ObjectType({ description: 'The member has another role.' })
export class ChangeMemberRolePayload {
  @Field(() => Member, { description: 'The member.' })
  member: Member;
}
export const ChangeMemberRoleResult = resultOf(ChangeMemberRolePayload);

@InputType({ description: 'Which member goes.' })
export class RemoveMemberInput {
  @Field(() => ID, { description: 'The member.' })
  memberId: string;
}

@ObjectType({ description: 'The member is removed; its sessions no longer work in the tenant.' })
export class RemoveMemberPayload {
  @Field(() => ID, { description: 'Who it was.' })
  memberId: string;
}
export const RemoveMemberResult = resultOf(RemoveMemberPayload);

@InputType({ description: 'A new application.' })
export class CreateApplicationInput {
  @Field(() => String, { description: 'Its name: 1 to 200 characters, unique in the tenant.' })
  name: string;
}

@ObjectType({ description: 'The application was created; it needs a key to call.' })
export class CreateApplicationPayload {
  @Field(() => Application, { description: 'The application.' })
  application: Application;
}
export const CreateApplicationResult = resultOf(CreateApplicationPayload);

@InputType({ description: 'A new key of an application.' })
export class CreateApiKeyInput {
  @Field(() => ID, { description: 'Whose key it will be.' })
  applicationId: string;

  @Field(() => String, { description: 'Its name, for people: 1 to 200 characters.' })
  name: string;

  @Field(() => [PermissionEnum], {
    description: 'What it may do; only what applications do, and what the caller may do.',
  })
  permissions: Permission[];

  @Field(() => DateTime, {
    nullable: true,
    description: 'Until when it works; a year from now unless told, ten at most.',
  })
  expiresAt?: Date | null;
}

@ObjectType({ description: 'The key was made.' })
export class CreateApiKeyPayload {
  @Field(() => ApiKey, { description: 'The key without its secret.' })
  apiKey: ApiKey;

  @Field(() => String, {
    description: 'The secret, for `authorization: Bearer`. Shown once; nobody can read it again.',
  })
  token: string;
}
export const CreateApiKeyResult = resultOf(CreateApiKeyPayload);

@InputType({ description: 'Which key ends.' })
export class RevokeApiKeyInput {
  @Field(() => ID, { description: 'The key.' })
  apiKeyId: string;
}

@ObjectType({ description: 'The key works no more, from the next request on.' })
export class RevokeApiKeyPayload {
  @Field(() => ApiKey, { description: 'The key.' })
  apiKey: ApiKey;
}
export const RevokeApiKeyResult = resultOf(RevokeApiKeyPayload);
