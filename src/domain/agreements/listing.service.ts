import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit, type AuditKind } from '../audit/audit.service.js';
import type { Licensing, OfferedEndpoint } from './licensing.js';
import * as repo from './listing.repo.js';
import { parseTerms } from './terms.js';

/** What a provider says of a listing; all of it is what is shown, and to whom. */
export interface ListingContent {
  /** The endpoint's own unless told. */
  readonly name?: string | null;
  readonly description?: string | null;
  readonly showsSchema: boolean;
  /** Unchecked. */
  readonly terms?: unknown;
  /** Null: every tenant sees it. */
  readonly tenantIds?: readonly string[] | null;
}

/** As one of those sees it for whom it is; what only the provider knows is null to others. */
export type Listing = Omit<repo.ListingRow, 'endpointId' | 'audience'> & {
  readonly providerName: string;
  readonly endpointId: string | null;
  readonly audience: 'ALL' | 'NAMED' | null;
  readonly tenantIds: readonly string[] | null;
};

const MOST_NAMED = 1000;

/** The catalogue: what providers show of what they offer, each to the tenants that it chose. */
export class ListingService {
  constructor(
    private readonly parts: {
      readonly db: Pick<Db, 'app'>;
      readonly clock: Clock;
      readonly licensing: Licensing;
    },
  ) {}

  /** NOT_FOUND for an endpoint or a named tenant, INVALID_INPUT, LICENCE_BROKEN for terms that could not be offered. */
  create(scope: Scope, { endpointId, ...content }: ListingContent & { endpointId: string }): Promise<Listing> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const at = this.parts.clock.now();
      const id = newId('listing');
      const shown = await this.shown(tx, endpointId, content);
      const row = { ...shown, id, tenantId: scope.tenantId, endpointId, createdAt: at, changedAt: at } as const;
      await repo.insertListing(tx, row);
      await repo.writeAudience(tx, id, content.tenantIds ?? []);
      return this.recorded(tx, scope, 'listing.created', row);
    });
  }

  /** In place of what was shown before, and to whom; a withdrawn listing is listed again. */
  change(scope: Scope, { listingId, ...content }: ListingContent & { listingId: string }): Promise<Listing> {
    return inTenant(this.parts.db, scope, async (tx) => {
      // The endpoint first, as whoever deletes one does.
      const known = kindOf(listingId) === 'listing' ? await repo.findListing(tx, listingId) : null;
      if (known?.tenantId !== tx.tenantId) throw notFound('listing');
      const shown = await this.shown(tx, known.endpointId, content);
      const row = { ...(await this.lock(tx, listingId)), ...shown, changedAt: this.parts.clock.now() };
      await repo.markListing(tx, row);
      await repo.writeAudience(tx, row.id, content.tenantIds ?? []);
      return this.recorded(tx, scope, 'listing.changed', row);
    });
  }

  /** From now on only its provider sees it. Twice changes nothing. */
  withdraw(scope: Scope, listingId: string): Promise<Listing> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const before = await this.lock(tx, listingId);
      if (before.state === 'WITHDRAWN') return this.viewOf(tx, before);
      const row = { ...before, state: 'WITHDRAWN', changedAt: this.parts.clock.now() } as const;
      await repo.markListing(tx, row);
      return this.recorded(tx, scope, 'listing.withdrawn', row);
    });
  }

  find(scope: Scope, id: string): Promise<Listing | null> {
    if (kindOf(id) !== 'listing') return Promise.resolve(null);
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await repo.findListing(tx, id);
      return row && this.viewOf(tx, row);
    });
  }

  /** What others have listed for the tenant, newest first. */
  catalogue(scope: Scope, page: PageRequest): Promise<Page<Listing>> {
    return this.page(scope, page, repo.listVisible);
  }

  /** The tenant's own, newest first, also withdrawn ones. */
  list(scope: Scope, page: PageRequest): Promise<Page<Listing>> {
    return this.page(scope, page, repo.listOwn);
  }

  private page(scope: Scope, page: PageRequest, list: typeof repo.listOwn): Promise<Page<Listing>> {
    return inTenant(this.parts.db, scope, (tx) =>
      readPage(
        page,
        ({ id }) => id,
        async (before, limit) => this.viewsOf(tx, await list(tx, before, limit)),
      ),
    );
  }

  private async lock(tx: Tx, id: string): Promise<repo.ListingRow> {
    const row = kindOf(id) === 'listing' ? await repo.findListingForUpdate(tx, id) : null;
    if (!row) throw notFound('listing');
    return row;
  }

  /** What is to be seen, checked. */
  private async shown(tx: Tx, endpointId: string, content: ListingContent) {
    const endpoint = await this.parts.licensing.hold(tx, endpointId);
    const terms = content.terms === undefined || content.terms === null ? null : parseTerms(content.terms);
    if (terms)
      await this.parts.licensing.refuseUnfit(
        tx,
        { providerTenantId: tx.tenantId, endpointId, datasetVersionId: null },
        terms,
      );
    const { tenantIds } = content;
    if (tenantIds && (tenantIds.length < 1 || tenantIds.length > MOST_NAMED))
      throw invalid('tenantIds', `Name 1 to ${MOST_NAMED} tenants, or leave this out: then everybody sees it.`);
    if (tenantIds?.some((id) => kindOf(id) !== 'tenant')) throw notFound('tenant');
    if (tenantIds && new Set(tenantIds).size < tenantIds.length) throw invalid('tenantIds', 'A tenant is named twice.');
    return {
      state: 'LISTED' as const,
      name: textOf('name', content.name ?? endpoint.name, { least: 1, most: 200 })!,
      description: textOf('description', content.description, { least: 0, most: 10_000 }),
      schema: content.showsSchema ? schemaOf(endpoint) : null,
      terms,
      audience: tenantIds ? ('NAMED' as const) : ('ALL' as const),
    };
  }

  private async recorded(tx: Tx, scope: Scope, kind: AuditKind, row: repo.ListingRow): Promise<Listing> {
    const view = await this.viewOf(tx, row);
    const { endpointId, name, audience, tenantIds } = view;
    const detail = { endpointId, name, audience, tenantIds, showsSchema: row.schema !== null, terms: row.terms };
    await appendAudit(tx, scope, { kind, subjectId: row.id, detail, at: row.changedAt });
    return view;
  }

  private async viewOf(tx: Tx, row: repo.ListingRow): Promise<Listing> {
    return (await this.viewsOf(tx, [row]))[0]!;
  }

  private async viewsOf(tx: Tx, rows: readonly repo.ListingRow[]): Promise<Listing[]> {
    const ids = rows.map(({ id }) => id);
    const names = await repo.listProviderNames(tx, ids);
    const audience = await repo.listAudience(tx, ids);
    return rows.map((row) => {
      const named = audience.get(row.id) ?? null;
      const known = row.tenantId === tx.tenantId;
      const ours = known ? { tenantIds: named } : { endpointId: null, audience: null, tenantIds: null };
      return { ...row, providerName: names.get(row.id)!, ...ours };
    });
  }
}

/** Names and kinds; which categories there are is told with an offer only. */
function schemaOf({ signature: { task, classes, inputs } }: OfferedEndpoint): repo.ListedSchema {
  return { task, classes, columns: inputs.map(({ name, kind }) => ({ name, kind })) };
}

/** Trimmed, in one form of Unicode; null if there is none. What may be empty may have several lines. */
export function textOf(
  field: string,
  text: string | null | undefined,
  { least, most }: { least: number; most: number },
): string | null {
  const normal = text?.normalize('NFC').trim() ?? '';
  const { length } = [...normal];
  const seen = least > 0 ? /^\P{C}*$/u : /^(?:\P{C}|\n)*$/u;
  if (length < least || length > most || !seen.test(normal))
    throw invalid(field, `This must have ${least} to ${most} characters that can be seen.`);
  return normal || null;
}

function invalid(field: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.${field}` });
}
