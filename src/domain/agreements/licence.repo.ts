import type { LineageKind } from '../../platform/errors.js';
import { inNameOf, type Tx } from '../../platform/db.js';
import type { DataLicence, LicensedData } from './licence.js';

/** False if the tenant has no such dataset version. */
export async function upsertLicence(
  tx: Tx,
  datasetVersionId: string,
  licence: DataLicence,
  now: Date,
): Promise<boolean> {
  const { purposes, regions, mayBeOffered, until } = licence;
  const rows = await tx.query<unknown[]>(
    `insert into data_licence (tenant_id, dataset_version_id, purposes, regions, may_be_offered, until, declared_at)
       select v.tenant_id, v.id, $3, $4, $5, $6, $7 from dataset_version v where v.tenant_id = $1 and v.id = $2
     on conflict (tenant_id, dataset_version_id) do update set purposes = excluded.purposes, regions = excluded.regions,
       may_be_offered = excluded.may_be_offered, until = excluded.until, declared_at = excluded.declared_at
     returning 1`,
    [tx.tenantId, datasetVersionId, purposes, regions, mayBeOffered, until, now],
  );
  return rows.length > 0;
}

export type LicenceRow = DataLicence & {
  /** For which it was declared: the dataset version itself, or an earlier version of the dataset. */
  readonly datasetVersionId: string;
  readonly declaredAt: Date;
};

/** Of the dataset version `of`: what was last declared for it, else for the nearest version of its dataset before it. $1: the tenant. */
const licenceOf = (of: string) => `
  select l.dataset_version_id as "datasetVersionId", l.purposes, l.regions, l.may_be_offered as "mayBeOffered", l.until, l.declared_at as "declaredAt"
    from dataset_version d join dataset_version e on e.tenant_id = $1 and e.dataset_id = d.dataset_id and e.number <= d.number
      join data_licence l on l.tenant_id = $1 and l.dataset_version_id = e.id
    where d.tenant_id = $1 and d.id = ${of} order by e.number desc limit 1`;

export async function findLicence(tx: Tx, datasetVersionId: string): Promise<LicenceRow | null> {
  const [row] = await tx.query<LicenceRow[]>(licenceOf('$2'), [tx.tenantId, datasetVersionId]);
  return row ?? null;
}

interface Origin {
  readonly models: string[];
  readonly dataId: string;
}
type Use = Origin & {
  agreementId: string;
  providerTenantId: string;
  limits: Omit<DataLicence, 'until'> & { until: string | null };
};

/** From a version of the tenant's over all that its training went on from. $1: the tenant, $2: the version. */
const ORIGINS = `with recursive origin as (
    select v.id, v.training_id, v.dataset_version_id, array[v.id] as models
      from model_version v where v.tenant_id = $1 and v.id = $2
    union all
    select v.id, v.training_id, v.dataset_version_id, v.id || o.models
      from origin o join training t on t.tenant_id = $1 and t.id = o.training_id
        join model_version v on v.tenant_id = $1 and v.id = t.options ->> 'warmStartFrom'
      where not v.id = any (o.models)
  )`;

/**
 * The licences of all data that a model version of the tenant's comes from: of the dataset version that it was trained on (or, imported,
 * calibrated and measured on), and of those of every version that its training went on from. Members of a combination and trials of a
 * study learn from the training's own data. Of another tenant's data: what was agreed, and what their tenant has declared.
 */
export async function listLicensedData(tx: Tx, modelVersionId: string): Promise<LicensedData[]> {
  const values = [tx.tenantId, modelVersionId];
  const own = await tx.query<(LicenceRow & Origin)[]>(
    `${ORIGINS} select o.models, o.dataset_version_id as "dataId", l.*
       from origin o cross join lateral (${licenceOf('o.dataset_version_id')}) l order by cardinality(o.models)`,
    values,
  );
  const uses = await tx.query<Use[]>(
    `${ORIGINS} select o.models, o.dataset_version_id as "dataId", u.agreement_id as "agreementId", u.provider_tenant_id as "providerTenantId", u.limits
       from origin o join data_use u on u.consumer_tenant_id = $1 and u.training_id = o.training_id order by cardinality(o.models)`,
    values,
  );
  const found = own.map(({ models, dataId, datasetVersionId, ...licence }) => ({
    ...limitsOf(licence),
    path: [...steps('DATASET_VERSION', [...new Set([datasetVersionId, dataId])]), ...steps('MODEL_VERSION', models)],
  }));
  for (const use of uses) found.push(...(await listShared(tx, use)));
  return found;
}

/** Of another tenant's data, whose own declaration is read in its name. */
async function listShared(tx: Tx, { models, dataId, agreementId, providerTenantId, limits }: Use) {
  const way = [...steps('DATASET_VERSION', [dataId]), ...steps('AGREEMENT', [agreementId])];
  const path = [...way, ...steps('MODEL_VERSION', models)];
  const declared = await inNameOf(tx, providerTenantId, (provider) => findLicence(provider, dataId));
  return [
    { ...limits, until: limits.until === null ? null : new Date(limits.until), path },
    ...(declared ? [{ ...limitsOf(declared), path, isForeign: true }] : []),
  ];
}

function limitsOf({ purposes, regions, mayBeOffered, until }: DataLicence): DataLicence {
  return { purposes, regions, mayBeOffered, until };
}

/** Which versions endpoints of the tenant's answer by. */
export function listRoutes(tx: Tx, endpointIds: readonly string[]): Promise<{ id: string; modelVersionId: string }[]> {
  return tx.query(
    `select id, model_version_id as "modelVersionId" from endpoint where tenant_id = $1 and id = any ($2)`,
    [tx.tenantId, endpointIds],
  );
}

const steps = (kind: LineageKind, ids: readonly string[]) => ids.map((id) => ({ kind, id }));
