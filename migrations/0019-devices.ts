import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Devices of applications, known by the public half of a key that they prove to hold, and the agreements that admit them. */
export class Devices0000000000019 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(DEVICES);
    await run.query(ADMISSIONS);
    await run.query(NEWS);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

const DEVICES = `
  create table device (
    id text not null unique check (id ~ '^dev_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    application_id text not null,
    name text not null check (char_length(name) between 1 and 200),
    -- A JWK (RFC 7517) with what its thumbprint (RFC 7638, SHA-256) is made of, and nothing else: no private half.
    public_key jsonb not null check (not public_key ? 'd'),
    thumbprint bytea not null check (octet_length(thumbprint) = 32),
    created_at timestamptz not null,
    revoked_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, application_id) references application (tenant_id, id),
    -- Of one tenant: that another has registered the same key, which is public, nobody learns.
    unique (tenant_id, thumbprint)
  );
  create index device_by_application on device (tenant_id, application_id, id);
  call protect_tenant_table('device');
  grant select, insert, update (revoked_at) on device to concordat_app;
  create policy gate on device for select to concordat_gate using (true);
  grant select (id, tenant_id, application_id, public_key, thumbprint, revoked_at) on device to concordat_gate;
`;

const ADMISSIONS = `
  create table agreement_device (
    agreement_id text not null references agreement (id),
    provider_tenant_id text not null,
    consumer_tenant_id text not null,
    device_id text not null,
    -- What the provider sees of the device.
    thumbprint bytea not null check (octet_length(thumbprint) = 32),
    admitted_at timestamptz not null,
    primary key (agreement_id, device_id),
    foreign key (consumer_tenant_id, device_id) references device (tenant_id, id)
  );
  create index agreement_device_by_device on agreement_device (consumer_tenant_id, device_id);
  alter table agreement_device enable row level security;
  alter table agreement_device force row level security;
  create policy parties on agreement_device for select to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  create policy admissions on agreement_device for insert to concordat_app
    with check (consumer_tenant_id = current_setting('app.tenant_id') and exists (select from agreement a
      where a.id = agreement_id and a.consumer_tenant_id = agreement_device.consumer_tenant_id
        and a.provider_tenant_id = agreement_device.provider_tenant_id));
  create policy dismissals on agreement_device for delete to concordat_app
    using (consumer_tenant_id = current_setting('app.tenant_id'));
  grant select, insert, delete on agreement_device to concordat_app;
  create policy gate on agreement_device for select to concordat_gate using (true);
  grant select (agreement_id, consumer_tenant_id, device_id) on agreement_device to concordat_gate;

  -- What is revoked takes up no agreement's room.
  create function dismiss_revoked_device() returns trigger language plpgsql as $$
  begin
    delete from agreement_device where consumer_tenant_id = new.tenant_id and device_id = new.id;
    return null;
  end $$;
  create trigger dismiss after update of revoked_at on device for each row when (new.revoked_at is not null)
    execute function dismiss_revoked_device();
`;

/** What a running answer depends on: the ledger looks at the device once more, as it does at the key. */
const NEWS = `
  create policy ledger on device for select to concordat_ledger using (true);
  grant select (id, revoked_at) on device to concordat_ledger;
  create or replace view ledger_credential with (security_invoker = true) as
    select id, expires_at, revoked_at from api_key
    union all select id, 'infinity'::timestamptz, revoked_at from device;

  -- Payload: the device's id.
  create function notify_device() returns trigger language plpgsql as $$
  begin
    perform pg_notify('concordat_device', case when tg_table_name = 'device' then to_jsonb(coalesce(new, old)) ->> 'id'
      else to_jsonb(coalesce(new, old)) ->> 'device_id' end);
    return null;
  end $$;
  create trigger notify after insert or update on device for each row execute function notify_device();
  create trigger notify after insert or delete on agreement_device for each row execute function notify_device();
`;
