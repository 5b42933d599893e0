import { Arg, Authorized, Ctx, ID, Query, Resolver } from 'type-graphql';
import type { App } from '../app.js';
import { inTenant } from '../platform/db.js';
import { notFound } from '../platform/errors.js';
import { Node, type NodeLoader, type RequestContext } from '../platform/graphql.js';
import { type IdKind, kindOf } from '../platform/ids.js';
import { findJob } from '../platform/jobs.js';
import type { Permission } from '../platform/permissions.js';
import { requireAccess } from './permission.js';

interface NodeKind {
  readonly permission: Permission;
  readonly load: NodeLoader;
}

export type NodeKinds = Partial<Record<IdKind, NodeKind>>;

/** The GraphQL type of each kind of id that `node` finds. */
export const NODE_TYPES: ReadonlyMap<IdKind, string> = new Map<IdKind, string>([
  ['tenant', 'Tenant'],
  ['membership', 'Member'],
  ['invitation', 'Invitation'],
  ['application', 'Application'],
  ['apiKey', 'ApiKey'],
  ['device', 'Device'],
  ['job', 'Job'],
  ['upload', 'Upload'],
  ['dataset', 'Dataset'],
  ['datasetVersion', 'DatasetVersion'],
  ['split', 'Split'],
  ['model', 'Model'],
  ['modelVersion', 'ModelVersion'],
  ['training', 'Training'],
  ['modelImport', 'ModelImport'],
  ['study', 'Study'],
  ['evaluation', 'Evaluation'],
  ['endpoint', 'Endpoint'],
  ['batchPrediction', 'BatchPrediction'],
  ['agreement', 'Agreement'],
  ['listing', 'Listing'],
  ['offerRequest', 'OfferRequest'],
  ['signingKey', 'SigningKey'],
]);

export function makeNodeKinds(app: App): NodeKinds {
  const { db, tenants, applications, uploads, datasets, splits, models, evaluations, trainings } = app;
  const { imports, studies, endpoints, batches, agreements, listings, offerRequests, signingKeys, devices } = app;
  return {
    tenant: { permission: 'tenant:read', load: (scope, id) => tenants.find(scope, id) },
    membership: { permission: 'tenant:read', load: (scope, id) => tenants.findMember(scope, id) },
    invitation: { permission: 'tenant:manage', load: (scope, id) => tenants.findInvitation(scope, id) },
    application: { permission: 'tenant:read', load: (scope, id) => applications.find(scope, id) },
    apiKey: { permission: 'application:manage', load: (scope, id) => applications.findKey(scope, id) },
    device: { permission: 'application:manage', load: (scope, id) => devices.find(scope, id) },
    job: { permission: 'training:read', load: (scope, id) => inTenant(db, scope, (tx) => findJob(tx, scope, id)) },
    upload: { permission: 'dataset:write', load: (scope, id) => uploads.find(scope, id) },
    dataset: { permission: 'dataset:read', load: (scope, id) => datasets.find(scope, id) },
    datasetVersion: { permission: 'dataset:read', load: (scope, id) => datasets.findVersion(scope, id) },
    split: { permission: 'dataset:read', load: (scope, id) => splits.find(scope, id) },
    model: { permission: 'model:read', load: (scope, id) => models.find(scope, id) },
    modelVersion: { permission: 'model:read', load: (scope, id) => models.findVersion(scope, id) },
    evaluation: { permission: 'model:read', load: (scope, id) => evaluations.find(scope, id) },
    training: { permission: 'training:read', load: (scope, id) => trainings.find(scope, id) },
    modelImport: { permission: 'training:read', load: (scope, id) => imports.find(scope, id) },
    study: { permission: 'training:read', load: (scope, id) => studies.find(scope, id) },
    endpoint: { permission: 'endpoint:read', load: (scope, id) => endpoints.find(scope, id) },
    batchPrediction: { permission: 'prediction:create', load: (scope, id) => batches.find(scope, id) },
    agreement: { permission: 'agreement:read', load: (scope, id) => agreements.find(scope, id) },
    listing: { permission: 'agreement:read', load: (scope, id) => listings.find(scope, id) },
    offerRequest: { permission: 'agreement:read', load: (scope, id) => offerRequests.find(scope, id) },
    signingKey: { permission: 'agreement:read', load: (scope, id) => signingKeys.find(scope, id) },
  };
}

@Resolver()
export class NodeResolver {
  constructor(private readonly kinds: NodeKinds) {}

  /** Each kind has a permission of its own, which is asked for before anything is read. */
  @Authorized('public')
  @Query(() => Node, {
    nullable: true,
    description: 'Anything by its id. NOT_FOUND for what is missing, and for what is another tenant’s.',
  })
  async node(
    @Ctx() context: RequestContext,
    @Arg('id', () => ID, { description: 'The id.' }) id: string,
  ): Promise<object> {
    const kind = this.kinds[kindOf(id)!];
    requireAccess(context, kind?.permission ?? 'tenant:read');
    const found = await kind?.load(context.scope!, id);
    if (!found) throw notFound('node');
    return found;
  }
}
