/** Every permission, with the sentence that the console and the docs show. One that is not here cannot be asked for. */
export const PERMISSIONS = {
  'tenant:read': 'See the tenant, its members and applications.',
  'tenant:manage': 'Rename the tenant, invite and remove members, set roles.',
  'application:manage': 'Create applications, and create and revoke their API keys.',
  'dataset:read': 'See datasets: schemas, profiles, splits; never rows.',
  'dataset:write': 'Upload data, create datasets and splits.',
  'dataset:delete': 'Delete datasets and their keys.',
  'model:read': 'See models, versions, metrics and lineage.',
  'model:write': 'Name models, set aliases.',
  'training:read': 'See training jobs and their progress.',
  'training:write': 'Start, retry and cancel training; import models.',
  'endpoint:read': 'See endpoints.',
  'endpoint:write': 'Create endpoints and change where they route.',
  'agreement:read': 'See the agreements to which the tenant is a party.',
  'agreement:write': 'Offer, withdraw, suspend, resume and terminate agreements.',
  'agreement:sign': 'Sign agreements for the tenant.',
  'prediction:create': 'Ask endpoints for predictions.',
  'usage:read': 'See the usage of agreements and endpoints.',
  'audit:read': 'Read and verify the audit log of the tenant.',
  'log:witness': 'Register a witness of the transparency log, and hand in what it co-signed.',
  'platform:manage': 'Create tenants and see the list of them; no tenant data.',
} as const;

export type Permission = keyof typeof PERMISSIONS;

/** `public`: no sign-in. `account`: a signed-in person, in whichever tenant or none. */
export type Access = Permission | 'public' | 'account';

const READ = [
  'tenant:read',
  'dataset:read',
  'model:read',
  'training:read',
  'endpoint:read',
  'agreement:read',
  'usage:read',
] as const satisfies readonly Permission[];

const ALL_OF_A_TENANT = (Object.keys(PERMISSIONS) as Permission[]).filter((p) => p !== 'platform:manage');

/** What each role of a tenant's member may do. */
export const ROLE_PERMISSIONS = {
  OWNER: ALL_OF_A_TENANT,
  ADMIN: ALL_OF_A_TENANT.filter((p) => p !== 'agreement:sign'),
  DATA_SCIENTIST: [...READ, 'dataset:write', 'model:write', 'training:write', 'endpoint:write', 'prediction:create'],
  STEWARD: [...READ, 'dataset:write', 'dataset:delete', 'agreement:write', 'agreement:sign', 'audit:read'],
  VIEWER: READ,
  AUDITOR: [...READ, 'audit:read', 'log:witness'],
} as const satisfies Record<string, readonly Permission[]>;

export type Role = keyof typeof ROLE_PERMISSIONS;

/** What an API key may be scoped to: what applications do, nothing that administers. */
export const KEY_PERMISSIONS = [
  'prediction:create',
  'endpoint:read',
  'agreement:read',
  'usage:read',
  'dataset:read',
  'dataset:write',
  'model:read',
  'training:read',
  'training:write',
  'log:witness',
] as const satisfies readonly Permission[];
