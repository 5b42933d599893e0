import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Actor, Scope } from '../../platform/scope.js';

/** What was asked under which terms: what many predictions have in common. */
export interface Facts {
  readonly providerTenantId: string;
  readonly endpointId: string;
  /** Null: the endpoint is the tenant's own, or there is no agreement. */
  readonly agreement: { readonly id: string; readonly version: number; readonly documentDigest: string } | null;
  readonly model: { readonly versionId: string; readonly digest: string | null } | null;
  /** As declared. */
  readonly purpose: string | null;
  /** What an answer tells; null where there is none. */
  readonly disclosure: object | null;
  /** Through which door the request came. */
  readonly door: string;
  /** Where the model ran, and where the caller says to be. */
  readonly region: string;
  readonly declaredRegion: string | null;
  readonly deviceId: string | null;
}

/** And by whom. */
interface ContextFacts extends Facts {
  readonly actor: Actor;
  readonly consumerTenantId: string;
}

/** A context with its bytes. The ledger gives it a number before the first entry that names it. */
export interface Context {
  readonly facts: ContextFacts;
  /** Canonical JSON (RFC 8785), and its SHA-256. */
  readonly content: string;
  readonly digest: Buffer;
  readonly digestHex: string;
  /** The content, parsed; and as it stands within a text of JSON. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly escaped: string;
  /** Null: not in the database yet. */
  id: number | null;
}

const MOST = 50_000;

/** Contexts in memory, so that the same facts are written and hashed once. */
export class Contexts {
  private readonly known = new Map<string, Context>();
  /** What the same object of facts led to the last time: nearly always what is wanted again. */
  private latest = new WeakMap<
    Facts,
    { readonly actor: Actor; readonly tenantId: string; readonly context: Context }
  >();

  /** The database may have been put back: its numbers are asked for again. */
  forgetNumbers(): void {
    for (const context of this.known.values()) context.id = null;
  }

  of({ actor, tenantId }: Pick<Scope, 'actor' | 'tenantId'>, facts: Facts): Context {
    const latest = this.latest.get(facts);
    if (latest && latest.actor === actor && latest.tenantId === tenantId) return latest.context;
    const context = this.find({ ...facts, actor, consumerTenantId: tenantId });
    this.latest.set(facts, { actor, tenantId, context });
    return context;
  }

  private find(facts: ContextFacts): Context {
    const name = nameOf(facts);
    const found = this.known.get(name);
    if (found) return found;
    // All at once: whatever is asked again comes back by one statement.
    if (this.known.size >= MOST) {
      this.known.clear();
      this.latest = new WeakMap();
    }
    const context = contextOf(facts);
    this.known.set(name, context);
    return context;
  }
}

/** Different facts have different names: no id, code or digest has a line feed in it, and JSON writes none. */
function nameOf(f: ContextFacts): string {
  const { actor, agreement, model } = f;
  return (
    `${actor.kind}\n${actor.id}\n${actor.keyId}\n${f.consumerTenantId}\n${f.providerTenantId}\n${f.endpointId}\n${model?.versionId}\n${model?.digest}\n` +
    `${agreement?.id}\n${agreement?.version}\n${agreement?.documentDigest}\n${f.purpose}\n${f.door}\n${f.region}\n${f.deviceId}\n` +
    `${JSON.stringify(f.declaredRegion)}\n${JSON.stringify(f.disclosure)}`
  );
}

function contextOf(facts: ContextFacts): Context {
  const { actor, agreement, model } = facts;
  const content = canonicalize({
    actor: { kind: actor.kind, id: actor.id, ...(actor.keyId !== undefined && { keyId: actor.keyId }) },
    agreementDigest: agreement?.documentDigest ?? null,
    agreementId: agreement?.id ?? null,
    agreementVersion: agreement?.version ?? null,
    consumerTenantId: facts.consumerTenantId,
    declaredRegion: facts.declaredRegion,
    deviceId: facts.deviceId,
    disclosure: facts.disclosure,
    door: facts.door,
    endpointId: facts.endpointId,
    modelDigest: model?.digest ?? null,
    modelVersionId: model?.versionId ?? null,
    providerTenantId: facts.providerTenantId,
    purpose: facts.purpose,
    region: facts.region,
  })!;
  const digest = createHash('sha256').update(content, 'utf8').digest();
  return { facts, content, digest, digestHex: digest.toString('hex'), ...readContext(content), id: null };
}

/** What receipts need of a context. */
export function readContext(content: string): Pick<Context, 'document' | 'escaped'> {
  return {
    document: JSON.parse(content) as Record<string, unknown>,
    escaped: JSON.stringify(content).slice(1, -1),
  };
}
