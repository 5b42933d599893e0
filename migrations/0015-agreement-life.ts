import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Agreements for their whole life: versions of the terms, notice, renewal, breach and settlement; tenants' own signing keys. */
export class AgreementLife0000000000015 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(AGREEMENT);
    await run.query(VERSIONS);
    await run.query(KEYS);
    await run.query(SETTLEMENT);
    await run.query(GUARDS);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

/** The row has the version in force, or the offer; `valid_until` is the end as things stand. */
const AGREEMENT = `
  do $$ declare c record; begin
    for c in select conname from pg_constraint where conrelid = 'agreement'::regclass and contype = 'c'
      and (pg_get_constraintdef(oid) like '%suspended_by%' or conname = 'agreement_state_check') loop
      execute format('alter table agreement drop constraint %I', c.conname);
    end loop; end $$;
  alter table agreement
    add constraint agreement_state_check
      check (state in ('OFFERED', 'ACTIVE', 'SUSPENDED', 'TERMINATED', 'EXPIRED', 'WITHDRAWN', 'SETTLED')),
    -- When both had signed the first version.
    add column activated_at timestamptz,
    -- Who broke it, and how, where the platform has suspended it.
    add column breach_by text check (breach_by in ('PROVIDER', 'CONSUMER')),
    add column breach_reason text check ((breach_reason is null) = (breach_by is null)),
    -- In force until then, although a party has ended it.
    add column notice_by text check (notice_by in ('PROVIDER', 'CONSUMER')),
    add column notice_until timestamptz check ((notice_until is null) = (notice_by is null)),
    add column renewal_stopped boolean not null default false,
    -- How many periods of the terms in force have begun after the first.
    add column renewals int not null default 0 check (renewals >= 0),
    add check (state <> 'ACTIVE' or not (suspended_by_provider or suspended_by_consumer or breach_by is not null)),
    add check (state <> 'SUSPENDED' or suspended_by_provider or suspended_by_consumer or breach_by is not null);
  update agreement a set activated_at = (select max(signed_at) from agreement_signature s where s.agreement_id = a.id)
    where (select count(*) from agreement_signature s where s.agreement_id = a.id) = 2;
  alter table agreement add check (state not in ('ACTIVE', 'SUSPENDED', 'SETTLED') or activated_at is not null);
  create index agreement_unsettled on agreement (changed_at) where state in ('TERMINATED', 'EXPIRED') and activated_at is not null;
  grant update (version, terms, document, document_digest, valid_from, valid_until, activated_at, breach_by, breach_reason,
    notice_by, notice_until, renewal_stopped, renewals) on agreement to concordat_app;
`;

const VERSIONS = `
  -- Every version of the terms that was ever proposed; both parties see it.
  create table agreement_version (
    agreement_id text not null references agreement (id),
    version int not null check (version >= 1),
    proposed_by text not null check (proposed_by in ('PROVIDER', 'CONSUMER')),
    -- AGREED: both have signed; the last of them is in force. DROPPED: countered, taken back, rejected or too late.
    state text not null check (state in ('PROPOSED', 'AGREED', 'DROPPED')),
    terms jsonb not null,
    document text not null,
    document_digest bytea not null check (document_digest = sha256(convert_to(document, 'UTF8'))),
    proposed_at timestamptz not null,
    agreed_at timestamptz check ((agreed_at is null) = (state <> 'AGREED')),
    -- What the meter had counted when it came into force.
    rows_before bigint check ((rows_before is null) = (state <> 'AGREED')),
    primary key (agreement_id, version)
  );
  create unique index agreement_version_open on agreement_version (agreement_id) where state = 'PROPOSED';
  insert into agreement_version
    select id, version, 'PROVIDER', case when activated_at is not null then 'AGREED' when state = 'OFFERED' then 'PROPOSED' else 'DROPPED' end,
      terms, document, document_digest, created_at, activated_at, case when activated_at is not null then 0 end
    from agreement;
  alter table agreement_version enable row level security;
  alter table agreement_version force row level security;
  create policy parties on agreement_version for select to concordat_app
    using (exists (select from agreement a where a.id = agreement_id
      and current_setting('app.tenant_id') in (a.provider_tenant_id, a.consumer_tenant_id)));
  create policy proposals on agreement_version for insert to concordat_app
    with check (state = 'PROPOSED' and exists (select from agreement a where a.id = agreement_id
      and current_setting('app.tenant_id') = case proposed_by when 'PROVIDER' then a.provider_tenant_id else a.consumer_tenant_id end));
  create policy steps on agreement_version for update to concordat_app
    using (exists (select from agreement a where a.id = agreement_id
      and current_setting('app.tenant_id') in (a.provider_tenant_id, a.consumer_tenant_id)));
  -- What was proposed cannot be changed by anyone.
  grant select, insert, update (state, agreed_at, rows_before) on agreement_version to concordat_app;
  create policy gate on agreement_version for select to concordat_gate using (true);
  grant select (agreement_id, version, state) on agreement_version to concordat_gate;

  -- Only what waits for signatures is signed.
  drop policy own_hand on agreement_signature;
  create policy own_hand on agreement_signature for insert to concordat_app
    with check (exists (select from agreement a join agreement_version v on v.agreement_id = a.id
      where a.id = agreement_signature.agreement_id and v.version = agreement_signature.version and v.state = 'PROPOSED'
        and current_setting('app.tenant_id') = case party when 'PROVIDER' then a.provider_tenant_id else a.consumer_tenant_id end));
`;

const KEYS = `
  -- A tenant's own public keys, whose private halves it keeps, beside the one that the platform keeps for it.
  drop index tenant_signing_key_one;
  alter table tenant_signing_key
    alter column sealed_private_key drop not null,
    add column custody text not null default 'CUSTODIAL' check (custody in ('CUSTODIAL', 'OWN')),
    add column name text not null default 'Kept by the platform' check (char_length(name) between 1 and 100),
    -- What its holder has to sign to show that it has the private half.
    add column challenge text,
    add column confirmed_at timestamptz,
    add column revoked_at timestamptz,
    add check ((custody = 'CUSTODIAL') = (sealed_private_key is not null)),
    add check ((custody = 'OWN') = (challenge is not null));
  update tenant_signing_key set confirmed_at = created_at;
  alter table tenant_signing_key add check (custody = 'OWN' or confirmed_at is not null);
  create unique index tenant_signing_key_kept on tenant_signing_key (tenant_id) where custody = 'CUSTODIAL' and revoked_at is null;
  create unique index tenant_signing_key_own on tenant_signing_key (tenant_id, public_key) where confirmed_at is not null and revoked_at is null;
  grant update (confirmed_at, revoked_at) on tenant_signing_key to concordat_app;

  alter table agreement_signature drop constraint agreement_signature_custody_check,
    add constraint agreement_signature_custody_check check (custody in ('CUSTODIAL', 'OWN')),
    add column signing_key_id text;
`;

const SETTLEMENT = `
  -- The figures at the end, frozen; both parties see them.
  create table agreement_settlement (
    agreement_id text primary key references agreement (id),
    -- Canonical JSON (RFC 8785), and its SHA-256.
    document text not null,
    document_digest bytea not null check (document_digest = sha256(convert_to(document, 'UTF8'))),
    settled_at timestamptz not null
  );
  alter table agreement_settlement enable row level security;
  alter table agreement_settlement force row level security;
  create policy parties on agreement_settlement to concordat_app
    using (exists (select from agreement a where a.id = agreement_id
      and current_setting('app.tenant_id') in (a.provider_tenant_id, a.consumer_tenant_id)));
  grant select, insert on agreement_settlement to concordat_app;
`;

/** What no service may get wrong: terms in force were signed by both, and an ended agreement stays ended. */
const GUARDS = `
  create or replace function guard_agreement() returns trigger language plpgsql as $$
  begin
    if old.state in ('TERMINATED', 'EXPIRED', 'WITHDRAWN', 'SETTLED') and new.state <> old.state
      and not (new.state = 'SETTLED' and old.state in ('TERMINATED', 'EXPIRED')) then
      raise exception 'an ended agreement stays ended';
    end if;
    if new.version < old.version
      or new.version = old.version and (new.terms, new.document) is distinct from (old.terms, old.document) then
      raise exception 'terms change with their version only';
    end if;
    if new.state in ('ACTIVE', 'SUSPENDED') and (old.state = 'OFFERED' or new.version <> old.version)
      and (select count(*) from agreement_signature s where s.agreement_id = new.id and s.version = new.version) <> 2 then
      raise exception 'an agreement needs both signatures';
    end if;
    if new.document is distinct from old.document
      and not exists (select from agreement_version v where v.agreement_id = new.id and v.version = new.version and v.document = new.document) then
      raise exception 'terms are those of a version';
    end if;
    return new;
  end $$;

  create function guard_agreement_version() returns trigger language plpgsql as $$
  begin
    if old.state <> 'PROPOSED' and new.state <> old.state then
      raise exception 'a version is decided once';
    end if;
    if new.state = 'AGREED' and old.state <> 'AGREED'
      and (select count(*) from agreement_signature s where s.agreement_id = new.agreement_id and s.version = new.version) <> 2 then
      raise exception 'a version needs both signatures';
    end if;
    return new;
  end $$;
  create trigger guard before update on agreement_version for each row execute function guard_agreement_version();
`;
