import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { AgreementService, OfferedEndpoints } from '../agreements/agreement.service.js';
import { stateAt } from '../agreements/agreement.service.js';
import { appendAudit } from '../audit/audit.service.js';
import type { ModelService, ModelVersionRow } from '../models/model.service.js';
import type { EndpointNames } from './endpoint-name.js';
import type { EndpointRow, PublishedSignature } from './endpoint.entity.js';
import * as repo from './endpoint.repo.js';
import type { Policies } from './policy.js';

/** An endpoint as one of those sees it who may use it. */
export interface Endpoint {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly modelVersionId: string;
  readonly signature: PublishedSignature;
  readonly createdAt: Date;
  readonly routedAt: Date;
}

/** What agreements look at, in their own transaction. */
export const offeredEndpoints: OfferedEndpoints = {
  findOffered: (tx, id) => repo.findEndpointForShare(tx, id),
};

export interface EndpointServiceParts {
  readonly db: Db;
  readonly clock: Clock;
  readonly models: ModelService;
  readonly agreements: AgreementService;
  readonly policies: Policies;
  readonly names: EndpointNames;
}

export class EndpointService {
  constructor(private readonly parts: EndpointServiceParts) {}

  /** Throws CONFLICT for a name in use, NOT_FOUND for a version that is not there. */
  create(scope: Scope, input: { name: string; modelVersionId: string }): Promise<Endpoint> {
    const name = input.name.normalize('NFC').trim();
    if (name.length < 1 || [...name].length > 100 || /\p{Cc}/u.test(name))
      return Promise.reject(
        new AppError('INVALID_INPUT', 'A name has 1 to 100 characters, on one line.', { field: 'input.name' }),
      );
    return this.inTenant(scope, async (tx) => {
      const version = await this.getVersion(tx, input.modelVersionId);
      const now = this.parts.clock.now();
      const row: EndpointRow = {
        tenantId: scope.tenantId,
        id: newId('endpoint'),
        name,
        state: 'READY',
        modelVersionId: version.id,
        signature: published(version),
        createdAt: now,
        routedAt: now,
      };
      await repo.insertEndpoint(tx, row);
      const detail = { name, modelVersionId: version.id, modelDigest: version.digest };
      await appendAudit(tx, scope, { kind: 'endpoint.created', subjectId: row.id, detail, at: now });
      return row;
    });
  }

  /**
   * From now on, requests are answered by that version. Throws CONFLICT if it does not take and answer the same, LICENCE_BROKEN if its
   * data forbid what is agreed on the endpoint.
   */
  route(scope: Scope, input: { endpointId: string; modelVersionId: string }): Promise<Endpoint> {
    return this.inTenant(scope, async (tx) => {
      const row = await this.lock(tx, input.endpointId);
      const version = await this.getVersion(tx, input.modelVersionId);
      const difference = differenceOf(row.signature, published(version));
      if (difference)
        throw new AppError('CONFLICT', `This version does not fit the endpoint: ${difference}.`, {
          field: 'input.modelVersionId',
          remedy: 'Create another endpoint for it.',
        });
      await this.parts.agreements.refuseRoute(tx, { endpointId: row.id, modelVersionId: version.id });
      const now = this.parts.clock.now();
      await repo.markEndpoint(tx, row.id, { modelVersionId: version.id, routedAt: now });
      const detail = { from: row.modelVersionId, to: version.id, modelDigest: version.digest };
      await appendAudit(tx, scope, { kind: 'endpoint.routed', subjectId: row.id, detail, at: now });
      return { ...row, modelVersionId: version.id, routedAt: now };
    });
  }

  /** Throws CONFLICT while an offer or an agreement stands on it. */
  delete(scope: Scope, endpointId: string): Promise<Endpoint> {
    return this.inTenant(scope, async (tx) => {
      const row = await this.lock(tx, endpointId);
      if (await this.parts.agreements.standsOn(tx, row.id))
        throw new AppError('CONFLICT', 'An offer or an agreement stands on this endpoint.', {
          remedy: 'Withdraw the offer, or terminate the agreement first.',
        });
      await repo.markEndpoint(tx, row.id, { state: 'DELETED' });
      await appendAudit(tx, scope, { kind: 'endpoint.deleted', subjectId: row.id, at: this.parts.clock.now() });
      return row;
    });
  }

  /**
   * The id of what a door calls by a name: itself if it has the form of an id, else that of the tenant's own endpoint of this name,
   * else null. An endpoint whose name has the form of an id is thus reached by its id alone.
   */
  async idOf({ tenantId }: Scope, name: string): Promise<string | null> {
    return kindOf(name) === 'endpoint' ? name : this.parts.names.find(tenantId, name);
  }

  /** The tenant's own, or one on which an offer to it or an agreement with it stands: by the database, news may be late. */
  async find(scope: Scope, id: string): Promise<Endpoint | null> {
    if (kindOf(id) !== 'endpoint') return null;
    const policy = await this.parts.policies.reread(scope.tenantId, id);
    if (!policy || policy.endpoint.state !== 'READY') return null;
    const now = this.parts.clock.now();
    const stands = policy.agreements.some((agreement) => STANDING.has(stateAt(agreement, now)));
    return policy.endpoint.tenantId === scope.tenantId || stands ? policy.endpoint : null;
  }

  async get(scope: Scope, id: string): Promise<Endpoint> {
    const endpoint = await this.find(scope, id);
    if (!endpoint) throw notFound('endpoint');
    return endpoint;
  }

  /** The tenant's own, newest first. */
  list(scope: Scope, page: PageRequest): Promise<Page<Endpoint>> {
    return this.inTenant(scope, (tx) =>
      readPage(
        page,
        (row) => row.id,
        (before, limit) => repo.listEndpoints(tx, before, limit),
      ),
    );
  }

  private async lock(tx: Tx, id: string): Promise<EndpointRow> {
    const row = kindOf(id) === 'endpoint' ? await repo.findEndpointForUpdate(tx, id) : null;
    if (!row) throw notFound('endpoint');
    return row;
  }

  private getVersion(tx: Tx, id: string): Promise<ModelVersionRow> {
    if (kindOf(id) !== 'modelVersion') throw notFound('model version');
    return this.parts.models.getVersion(tx, id);
  }

  private inTenant<T>(scope: Scope, work: (tx: Tx) => Promise<T>): Promise<T> {
    return inTenant(this.parts.db, scope, work);
  }
}

const STANDING: ReadonlySet<string> = new Set(['OFFERED', 'ACTIVE', 'SUSPENDED']);

function published({ signature }: Pick<ModelVersionRow, 'signature'>): PublishedSignature {
  const inputs = signature.inputs.map(({ name, kind, categories }) => ({ name, kind, categories }));
  return { task: signature.task, classes: signature.classes, inputs };
}

/**
 * Why a caller of `now` could not call `next`: null if the same columns are taken and the same classes answered. The categories seen
 * in training may differ: others are answered as unseen.
 */
function differenceOf(now: PublishedSignature, next: PublishedSignature): string | null {
  if (now.task !== next.task) return `it answers ${next.task}, not ${now.task}`;
  if (!isDeepStrictEqual(now.classes && [...now.classes].sort(), next.classes && [...next.classes].sort()))
    return 'its classes are others';
  const kinds = (signature: PublishedSignature) => new Map(signature.inputs.map(({ name, kind }) => [name, kind]));
  const [before, after] = [kinds(now), kinds(next)];
  const lost = [...before].find(([name, kind]) => after.get(name) !== kind);
  if (lost) return `it does not take the column ${lost[0]} as ${lost[1]}`;
  const added = [...after.keys()].find((name) => !before.has(name));
  return added === undefined ? null : `it needs the column ${added}`;
}
