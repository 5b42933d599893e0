import { type AuthChecker, getMetadataStorage } from 'type-graphql';
import { AppError } from '../platform/errors.js';
import type { RequestContext } from '../platform/graphql.js';
import { type Access, PERMISSIONS } from '../platform/permissions.js';

/** Throws unless the request may do what `access` names. */
export function requireAccess(context: Pick<RequestContext, 'scope' | 'account'>, access: Access): void {
  if (access === 'public') return;
  const { scope, account } = context;
  if (!scope && !account) throw new AppError('UNAUTHENTICATED', 'This needs a session or an API key.');
  if (access === 'account') {
    if (!account) throw new AppError('UNAUTHENTICATED', 'This needs a signed-in person; an API key is none.');
    return;
  }
  if (!scope) throw new AppError('TENANT_REQUIRED', 'No tenant is chosen, or you are no member of the one that is.');
  if (!scope.permissions.has(access)) throw new AppError('FORBIDDEN', `This needs the permission ${access}.`);
}

export const authChecker: AuthChecker<RequestContext, Access> = ({ context }, needed) => {
  for (const access of needed) requireAccess(context, access);
  return true;
};

/** Fails the build of the schema where an operation names no permission, or one that there is not. */
export function refuseUnguarded(): void {
  const { queries, mutations, subscriptions } = getMetadataStorage();
  const known = new Set<string>([...Object.keys(PERMISSIONS), 'public', 'account']);
  for (const operation of [...queries, ...mutations, ...subscriptions]) {
    const roles = (operation.roles ?? []) as string[];
    if (roles.length === 0) throw new Error(`${operation.schemaName} names no permission: add @Authorized('…').`);
    for (const role of roles)
      if (!known.has(role))
        throw new Error(`${operation.schemaName} names the permission ${role}, which there is not.`);
  }
}
