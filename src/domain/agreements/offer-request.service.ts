import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit, type AuditKind } from '../audit/audit.service.js';
import type { AgreementService } from './agreement.service.js';
import { findListing } from './listing.repo.js';
import { textOf } from './listing.service.js';
import * as repo from './offer-request.repo.js';
import type { Party } from './step.js';
import { parseTerms } from './terms.js';
import type { Agreement } from './view.js';

export type { OfferRequestRow } from './offer-request.repo.js';

export interface NewOfferRequest {
  readonly listingId: string;
  /** Unchecked: what the consumer would sign. */
  readonly terms?: unknown;
  readonly message?: string | null;
}

export interface OfferRequestParts {
  readonly db: Pick<Db, 'app'>;
  readonly clock: Clock;
  readonly agreements: AgreementService;
}

/** Consumers ask for offers on listings that they see; the provider answers with an offer, or declines. */
export class OfferRequestService {
  constructor(private readonly parts: OfferRequestParts) {}

  /** Tells the provider the id of the tenant that asks. NOT_FOUND, INVALID_INPUT; CONFLICT while another one waits. */
  make(scope: Scope, { listingId, terms, message }: NewOfferRequest): Promise<repo.OfferRequestRow> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const listing = kindOf(listingId) === 'listing' ? await findListing(tx, listingId) : null;
      if (!listing) throw notFound('listing');
      if (listing.tenantId === scope.tenantId)
        throw new AppError('INVALID_INPUT', 'This listing is the tenant’s own.', { field: 'input.listingId' });
      const at = this.parts.clock.now();
      const row: repo.OfferRequestRow = {
        id: newId('offerRequest'),
        providerTenantId: listing.tenantId,
        consumerTenantId: scope.tenantId,
        listingId,
        state: 'OPEN',
        terms: terms === undefined || terms === null ? null : parseTerms(terms),
        message: textOf('message', message, { least: 0, most: 10_000 }),
        agreementId: null,
        createdAt: at,
        changedAt: at,
      };
      await repo.insertOfferRequest(tx, row);
      await this.record(tx, scope, 'offer-request.made', row);
      return row;
    });
  }

  /**
   * Offers the listed endpoint to whoever asked: on the terms that are given, else on those that were asked for, else on the example. All
   * that an offer refuses is refused here.
   */
  answer(scope: Scope, { offerRequestId, terms }: { offerRequestId: string; terms?: unknown }): Promise<Agreement> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await this.lock(tx, scope, { id: offerRequestId, party: 'PROVIDER' });
      const listing = (await findListing(tx, row.listingId))!;
      const offered = terms ?? row.terms ?? listing.terms;
      if (!offered)
        throw new AppError('INVALID_INPUT', 'Neither the request nor the listing has terms: say which.', {
          field: 'input.terms',
        });
      const { endpointId } = listing;
      const offer = { id: newId('agreement'), endpointId, consumerTenantId: row.consumerTenantId, terms: offered };
      const change = { state: 'ANSWERED', agreementId: offer.id, changedAt: this.parts.clock.now() } as const;
      await repo.markOfferRequest(tx, row.id, change);
      const agreement = await this.parts.agreements.offerIn(tx, scope, offer);
      await this.record(tx, scope, 'offer-request.answered', { ...row, ...change });
      return agreement;
    });
  }

  /** The provider's no, or the consumer's taking back. CONFLICT if it is answered already. */
  end(scope: Scope, { id, party }: { id: string; party: Party }): Promise<repo.OfferRequestRow> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await this.lock(tx, scope, { id, party });
      const state = party === 'PROVIDER' ? 'DECLINED' : 'WITHDRAWN';
      const change = { state, agreementId: null, changedAt: this.parts.clock.now() } as const;
      await repo.markOfferRequest(tx, id, change);
      const kind = party === 'PROVIDER' ? 'offer-request.declined' : 'offer-request.withdrawn';
      await this.record(tx, scope, kind, { ...row, ...change });
      return { ...row, ...change };
    });
  }

  find(scope: Scope, id: string): Promise<repo.OfferRequestRow | null> {
    if (kindOf(id) !== 'offerRequest') return Promise.resolve(null);
    return inTenant(this.parts.db, scope, (tx) => repo.findOfferRequest(tx, id));
  }

  list(
    scope: Scope,
    filter: Parameters<typeof repo.listOfferRequests>[1],
    page: PageRequest,
  ): Promise<Page<repo.OfferRequestRow>> {
    return inTenant(this.parts.db, scope, (tx) =>
      readPage(
        page,
        ({ id }) => id,
        (before, limit) => repo.listOfferRequests(tx, filter, { before, limit }),
      ),
    );
  }

  /** An open one to which the tenant is that party. */
  private async lock(
    tx: Tx,
    { tenantId }: Scope,
    { id, party }: { id: string; party: Party },
  ): Promise<repo.OfferRequestRow> {
    const row = kindOf(id) === 'offerRequest' ? await repo.findOfferRequestForUpdate(tx, id) : null;
    if (!row) throw notFound('offer request');
    if (tenantId !== (party === 'PROVIDER' ? row.providerTenantId : row.consumerTenantId))
      throw new AppError('CONFLICT', `Only the ${party.toLowerCase()} can do this.`);
    if (row.state !== 'OPEN') throw new AppError('CONFLICT', `This request is over: it is ${row.state}.`);
    return row;
  }

  private async record(tx: Tx, scope: Scope, kind: AuditKind, row: repo.OfferRequestRow): Promise<void> {
    const { id, listingId, terms, state, agreementId, providerTenantId, consumerTenantId, changedAt: at } = row;
    const counterpartyTenantId = scope.tenantId === providerTenantId ? consumerTenantId : providerTenantId;
    const detail = { listingId, terms, state, agreementId };
    await appendAudit(tx, scope, { kind, subjectId: id, detail, counterpartyTenantId, at });
  }
}
