import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Agreements on a dataset version: the consumer may train on it, and never reads it. */
export class DataAgreements0000000000026 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(AGREEMENT);
    await run.query(LINEAGE);
    await run.query(USE);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

const AGREEMENT = `
  alter table agreement
    alter column endpoint_id drop not null,
    add column dataset_version_id text,
    -- It is about the one or the other.
    add check ((endpoint_id is null) <> (dataset_version_id is null)),
    add foreign key (provider_tenant_id, dataset_version_id) references dataset_version (tenant_id, id);
  create index agreement_by_data on agreement (provider_tenant_id, dataset_version_id) where dataset_version_id is not null;
  -- The ledger and the decision about predictions know agreements about endpoints only.
  drop trigger meter on agreement;
  create trigger meter after insert or update on agreement for each row when (new.endpoint_id is not null) execute function meter_agreement();
  drop trigger notify on agreement;
  create trigger notify after insert or update on agreement for each row when (new.endpoint_id is not null) execute function notify_policy();
`;

const LINEAGE = `
  -- Whose the data are that something was learned from: the tenant's own, or those of the provider under an agreement.
  alter table training
    add column provider_tenant_id text,
    add column agreement_id text references agreement (id),
    add column data_tenant_id text not null generated always as (coalesce(provider_tenant_id, tenant_id)) stored,
    add check ((provider_tenant_id is null) = (agreement_id is null)),
    drop constraint training_tenant_id_dataset_version_id_fkey,
    drop constraint training_tenant_id_split_id_fkey,
    add foreign key (data_tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
    add foreign key (data_tenant_id, split_id) references split (tenant_id, id);
  alter table model_version
    add column provider_tenant_id text,
    add column agreement_id text references agreement (id),
    add column data_tenant_id text not null generated always as (coalesce(provider_tenant_id, tenant_id)) stored,
    add check ((provider_tenant_id is null) = (agreement_id is null)),
    drop constraint model_version_tenant_id_dataset_version_id_fkey,
    drop constraint model_version_tenant_id_split_id_fkey,
    add foreign key (data_tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
    add foreign key (data_tenant_id, split_id) references split (tenant_id, id);
  create index model_version_by_shared_data on model_version (data_tenant_id, dataset_version_id) where provider_tenant_id is not null;

  -- A generated column has its value after this trigger.
  create or replace function refuse_change() returns trigger language plpgsql as $$
  begin
    if tg_op = 'UPDATE' and to_jsonb(new) - 'derived_from_deleted_data' - 'data_tenant_id' = to_jsonb(old) - 'derived_from_deleted_data' - 'data_tenant_id' then
      return new;
    end if;
    raise exception 'a model version never changes' using errcode = 'restrict_violation';
  end $$;

  -- Whoever deletes data need not know what was made of them, nor by whom: the mark reaches other tenants' models, too.
  create policy relay on model_version to concordat_relay using (true) with check (true);
  grant select (data_tenant_id, dataset_version_id, derived_from_deleted_data), update (derived_from_deleted_data) on model_version to concordat_relay;
  create or replace function mark_derived() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
  begin
    update model_version set derived_from_deleted_data = true
    where data_tenant_id = new.tenant_id and dataset_version_id = new.id and not derived_from_deleted_data;
    return null;
  end $$;
  revoke execute on function mark_derived from public;
  do $$ begin execute format('grant concordat_relay to %I', current_user); end $$;
  grant create on schema public to concordat_relay;
  alter function mark_derived owner to concordat_relay;
  revoke create on schema public from concordat_relay;
`;

const USE = `
  -- A training on another tenant's data: what was asked for and how it ended. Both parties see it; nothing of the model is in it.
  create table data_use (
    training_id text not null,
    agreement_id text not null references agreement (id),
    provider_tenant_id text not null,
    consumer_tenant_id text not null,
    -- The version of the terms under which it was admitted.
    version int not null,
    purpose text not null,
    -- Those that are learned from: target, features, weights.
    columns jsonb not null,
    asked_at timestamptz not null,
    -- What the terms promise; null: nothing.
    deadline_at timestamptz,
    ended_at timestamptz,
    outcome text check (outcome in ('SUCCEEDED', 'FAILED', 'CANCELLED')),
    code text,
    -- What may be done with what was learned, by the terms at its end.
    limits jsonb,
    primary key (consumer_tenant_id, training_id),
    check ((ended_at is null) = (outcome is null)),
    check ((limits is not null) = (outcome is not distinct from 'SUCCEEDED')),
    -- Written before the training: the audit log comes last in a transaction.
    foreign key (consumer_tenant_id, training_id) references training (tenant_id, id) deferrable initially deferred
  );
  create index data_use_by_agreement on data_use (agreement_id, training_id);
  alter table data_use enable row level security;
  alter table data_use force row level security;
  create policy parties on data_use for select to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  create policy asks on data_use for insert to concordat_app
    with check (consumer_tenant_id = current_setting('app.tenant_id') and exists (select from agreement a
      where a.id = agreement_id and a.provider_tenant_id = data_use.provider_tenant_id and a.consumer_tenant_id = data_use.consumer_tenant_id
        and a.dataset_version_id is not null and a.state = 'ACTIVE'));
  create policy ends on data_use for update to concordat_app
    using (consumer_tenant_id = current_setting('app.tenant_id'));
  grant select, insert, update (ended_at, outcome, code, limits) on data_use to concordat_app;

  -- No training on others' data without a use that was admitted.
  create function guard_data_use() returns trigger language plpgsql as $$
  begin
    if not exists (select from data_use u where u.consumer_tenant_id = new.tenant_id and u.training_id = new.id
      and u.agreement_id = new.agreement_id and u.provider_tenant_id = new.provider_tenant_id) then
      raise exception 'data of another tenant are learned from under an agreement';
    end if;
    return null;
  end $$;
  create trigger guard after insert on training for each row when (new.agreement_id is not null) execute function guard_data_use();
`;
