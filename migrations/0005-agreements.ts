import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Endpoints; usage agreements between two tenants, their signatures, and the keys that sign for tenants. */
export class Agreements0000000000005 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(ENDPOINTS);
    await run.query(AGREEMENTS);
    await run.query(SIGNATURES);
    await run.query(GATE);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

const ENDPOINTS = `
  create table endpoint (
    id text not null unique check (id ~ '^end_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    name text not null check (char_length(name) between 1 and 100),
    state text not null default 'READY' check (state in ('READY', 'DELETED')),
    model_version_id text not null,
    -- What is published: task, classes, inputs. Every version that the endpoint ever routes to has this same signature.
    signature jsonb not null,
    created_at timestamptz not null,
    routed_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, model_version_id) references model_version (tenant_id, id)
  );
  create unique index endpoint_name on endpoint (tenant_id, name) where state <> 'DELETED';
  call protect_tenant_table('endpoint');
  grant select, insert, update (state, model_version_id, routed_at) on endpoint to concordat_app;
`;

const AGREEMENTS = `
  -- The only bridge between tenants: both parties see the row.
  create table agreement (
    id text not null unique check (id ~ '^agr_[0-9a-f]{32}$'),
    provider_tenant_id text not null references tenant (id),
    consumer_tenant_id text not null references tenant (id),
    endpoint_id text not null,
    -- Of the terms; an amendment will be the next one.
    version int not null default 1 check (version >= 1),
    terms jsonb not null,
    -- Canonical JSON (RFC 8785): parties, endpoint, version, terms. The exact bytes that are signed, and their SHA-256.
    document text not null,
    document_digest bytea not null check (document_digest = sha256(convert_to(document, 'UTF8'))),
    -- Of the terms' period, for the sweep and the ledger.
    valid_from timestamptz not null,
    valid_until timestamptz not null check (valid_from < valid_until),
    state text not null default 'OFFERED'
      check (state in ('OFFERED', 'ACTIVE', 'SUSPENDED', 'TERMINATED', 'EXPIRED', 'WITHDRAWN')),
    suspended_by_provider boolean not null default false,
    suspended_by_consumer boolean not null default false,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (provider_tenant_id, id),
    check (provider_tenant_id <> consumer_tenant_id),
    check (state <> 'ACTIVE' or not (suspended_by_provider or suspended_by_consumer)),
    check (state <> 'SUSPENDED' or suspended_by_provider or suspended_by_consumer),
    foreign key (provider_tenant_id, endpoint_id) references endpoint (tenant_id, id)
  );
  create index agreement_by_consumer on agreement (consumer_tenant_id, endpoint_id);
  create index agreement_by_endpoint on agreement (provider_tenant_id, endpoint_id);
  create index agreement_due on agreement (valid_until) where state in ('OFFERED', 'ACTIVE', 'SUSPENDED');
  alter table agreement enable row level security;
  alter table agreement force row level security;
  create policy parties on agreement for select to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  create policy steps on agreement for update to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  create policy offers on agreement for insert to concordat_app
    with check (provider_tenant_id = current_setting('app.tenant_id') and state = 'OFFERED');
  -- Terms and parties cannot be updated by anyone.
  grant select, insert, update (state, suspended_by_provider, suspended_by_consumer, changed_at) on agreement to concordat_app;
`;

const SIGNATURES = `
  create table tenant_signing_key (
    id text not null unique check (id ~ '^sgk_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    -- Raw Ed25519 (RFC 8032); the private half is sealed.
    public_key bytea not null check (octet_length(public_key) = 32),
    sealed_private_key bytea not null,
    created_at timestamptz not null,
    primary key (tenant_id, id)
  );
  -- One for now: the rotation of signing keys will relax it.
  create unique index tenant_signing_key_one on tenant_signing_key (tenant_id);
  call protect_tenant_table('tenant_signing_key');
  grant select, insert on tenant_signing_key to concordat_app;

  create table agreement_signature (
    agreement_id text not null references agreement (id),
    version int not null,
    party text not null check (party in ('PROVIDER', 'CONSUMER')),
    algorithm text not null check (algorithm = 'Ed25519'),
    -- CUSTODIAL: the platform keeps the key and signed on the member's word.
    custody text not null check (custody = 'CUSTODIAL'),
    public_key bytea not null check (octet_length(public_key) = 32),
    signature bytea not null check (octet_length(signature) = 64),
    signed_by text not null,
    signed_at timestamptz not null,
    primary key (agreement_id, version, party)
  );
  alter table agreement_signature enable row level security;
  alter table agreement_signature force row level security;
  create policy parties on agreement_signature for select to concordat_app
    using (exists (select from agreement a where a.id = agreement_id
      and current_setting('app.tenant_id') in (a.provider_tenant_id, a.consumer_tenant_id)));
  create policy own_hand on agreement_signature for insert to concordat_app
    with check (exists (select from agreement a where a.id = agreement_signature.agreement_id and a.version = agreement_signature.version
      and current_setting('app.tenant_id') = case party when 'PROVIDER' then a.provider_tenant_id else a.consumer_tenant_id end));
  grant select, insert on agreement_signature to concordat_app;

  -- What no service may get wrong: only an agreement that both have signed is ever in force, and an ended one stays ended.
  create function guard_agreement() returns trigger language plpgsql as $$
  begin
    if old.state in ('TERMINATED', 'EXPIRED', 'WITHDRAWN') and new.state <> old.state then
      raise exception 'an ended agreement stays ended';
    end if;
    if old.state = 'OFFERED' and new.state in ('ACTIVE', 'SUSPENDED')
      and (select count(*) from agreement_signature s where s.agreement_id = new.id and s.version = new.version) <> 2 then
      raise exception 'an agreement needs both signatures';
    end if;
    return new;
  end $$;
  create trigger guard before update on agreement for each row execute function guard_agreement();
`;

/** What the decision point compiles into memory, read across tenants by the gate's role; and the news of its changes. */
const GATE = `
  create policy gate on endpoint for select to concordat_gate using (true);
  create policy gate on agreement for select to concordat_gate using (true);
  create policy gate on agreement_signature for select to concordat_gate using (true);
  grant select (id, tenant_id, name, state, model_version_id, signature, created_at, routed_at) on endpoint to concordat_gate;
  grant select on agreement to concordat_gate;
  grant select (agreement_id, party) on agreement_signature to concordat_gate;

  -- A party learns the name of the other by an agreement only: the provider's at once, the consumer's when it has signed.
  create function agreement_party_names(p_agreements text[])
    returns table (agreement_id text, provider_name text, consumer_name text)
    language sql stable security definer set search_path = public, pg_temp as $$
      select a.id, p.name, case
        when c.id = current_setting('app.tenant_id')
          or exists (select from agreement_signature s where s.agreement_id = a.id and s.party = 'CONSUMER') then c.name end
      from agreement a join tenant p on p.id = a.provider_tenant_id join tenant c on c.id = a.consumer_tenant_id
      where a.id = any (p_agreements) and current_setting('app.tenant_id') in (a.provider_tenant_id, a.consumer_tenant_id)
    $$;
  revoke execute on function agreement_party_names from public;
  grant execute on function agreement_party_names to concordat_app;
  do $$ begin execute format('grant concordat_gate to %I', current_user); end $$;
  grant create on schema public to concordat_gate;
  alter function agreement_party_names owner to concordat_gate;
  revoke create on schema public from concordat_gate;

  -- Payload: the id of the endpoint whose policies changed.
  create function notify_policy() returns trigger language plpgsql as $$
  begin
    perform pg_notify('concordat_policy', case when tg_table_name = 'endpoint' then new.id else to_jsonb(new) ->> 'endpoint_id' end);
    return null;
  end $$;
  create trigger notify after insert or update on endpoint for each row execute function notify_policy();
  create trigger notify after insert or update on agreement for each row execute function notify_policy();
`;
