import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Roles, how a tenant's table is protected, tenants, jobs and their outbox, the audit log. */
export class Foundation0000000000001 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      -- Roles belong to the server, not to the database: another database of it may have made them.
      do $$
      declare r text;
      begin
        foreach r in array array['concordat_app', 'concordat_relay', 'concordat_gate', 'concordat_ledger'] loop
          if not exists (select from pg_roles where rolname = r) then
            execute format('create role %I login nosuperuser nobypassrls nocreaterole nocreatedb', r);
          end if;
          execute format('grant usage on schema public to %I', r);
        end loop;
      end $$;
      revoke create on schema public from public;

      -- Every table with a tenant_id calls this. No default tenant: a query without one fails.
      create procedure protect_tenant_table(target regclass) language plpgsql as $$
      begin
        execute format('alter table %s enable row level security', target);
        execute format('alter table %s force row level security', target);
        execute format('create policy tenant on %s to concordat_app using (tenant_id = current_setting(''app.tenant_id'')) with check (tenant_id = current_setting(''app.tenant_id''))', target);
      end $$;

      create table tenant (
        id text primary key check (id ~ '^ten_[0-9a-f]{32}$'),
        name text not null check (char_length(name) between 1 and 200),
        created_at timestamptz not null default now()
      );
      -- The tenant itself, and the platform, which lists and creates tenants.
      alter table tenant enable row level security;
      alter table tenant force row level security;
      create policy itself on tenant to concordat_app using (current_setting('app.tenant_id') in (id, 'platform'));
      grant select, insert, update on tenant to concordat_app;

      -- The truth about every job; the queue is only a doorbell.
      create table job (
        id text primary key check (id ~ '^job_[0-9a-f]{32}$'),
        tenant_id text not null references tenant (id),
        name text not null,
        -- What the job works on: an upload, a split, a training.
        subject_id text not null,
        state text not null default 'QUEUED' check (state in ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
        -- The fence: only the run that holds the current number may finish the job.
        attempt int not null default 0,
        max_attempts int not null check (max_attempts between 1 and 20),
        cancel_requested boolean not null default false,
        progress jsonb,
        error_code text,
        error_message text,
        created_at timestamptz not null default now(),
        started_at timestamptz,
        heartbeat_at timestamptz,
        finished_at timestamptz,
        unique (tenant_id, id)
      );
      create index job_by_subject on job (tenant_id, subject_id);
      create index job_unfinished on job (tenant_id, created_at) where state in ('QUEUED', 'RUNNING');
      call protect_tenant_table('job');
      create policy relay on job to concordat_relay using (true) with check (true);
      grant select, insert, update on job to concordat_app;
      grant select, update on job to concordat_relay;

      create table outbox (
        id bigint generated always as identity primary key,
        tenant_id text not null,
        job_id text not null,
        created_at timestamptz not null default now(),
        sent_at timestamptz,
        foreign key (tenant_id, job_id) references job (tenant_id, id) on delete cascade
      );
      create index outbox_unsent on outbox (tenant_id, id) where sent_at is null;
      call protect_tenant_table('outbox');
      create policy relay on outbox to concordat_relay using (true) with check (true);
      grant insert on outbox to concordat_app;
      grant select, insert, update, delete on outbox to concordat_relay;

      -- Wakes the relay, and whoever watches a job. Payload: ids only.
      create function notify_outbox() returns trigger language plpgsql as $$
      begin
        perform pg_notify('concordat_outbox', '');
        return null;
      end $$;
      create trigger notify after insert on outbox for each statement execute function notify_outbox();
      create function notify_job() returns trigger language plpgsql as $$
      begin
        perform pg_notify('concordat_job', new.tenant_id || ' ' || new.id);
        return null;
      end $$;
      create trigger notify after insert or update on job for each row execute function notify_job();

      -- The audit log: one gapless sequence of salted leaves. Contents belong to their tenants; leaves say nothing.
      create table audit_log (
        -- One row, which every append locks: an index from a sequence would have gaps, and another order than the commits.
        singleton boolean primary key default true check (singleton),
        next_index bigint not null default 0
      );
      insert into audit_log default values;
      create table audit_entry (
        log_index bigint primary key,
        -- SHA-256 (0x00 || salt || content): an RFC 6962 leaf hash whose leaf data is salt || content.
        leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
        salt bytea not null check (octet_length(salt) = 16),
        tenant_id text not null,
        -- The other party of an agreement, which may read the entry as well.
        counterparty_tenant_id text,
        at timestamptz not null,
        kind text not null,
        subject_id text,
        -- Canonical JSON (RFC 8785), the exact bytes that were hashed.
        content text not null
      );
      create index audit_entry_by_tenant on audit_entry (tenant_id, log_index);
      create index audit_entry_by_counterparty on audit_entry (counterparty_tenant_id, log_index) where counterparty_tenant_id is not null;
      alter table audit_entry enable row level security;
      alter table audit_entry force row level security;
      create policy parties on audit_entry for select to concordat_app
        using (current_setting('app.tenant_id') in (tenant_id, counterparty_tenant_id));
      create policy ledger on audit_entry to concordat_ledger using (true) with check (true);
      grant select on audit_entry to concordat_app;
      grant select, insert on audit_entry to concordat_ledger;
      grant select, update on audit_log to concordat_ledger;

      -- The only way in for everybody but the ledger. Called last in a transaction: it locks the log until the commit.
      create function audit_append(p_tenant text, p_counterparty text, p_at timestamptz, p_kind text, p_subject text, p_content text, p_salt bytea, p_leaf bytea)
        returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
      declare i bigint;
      begin
        if p_tenant is distinct from current_setting('app.tenant_id') then
          raise exception 'an audit entry belongs to the tenant that acts';
        end if;
        update audit_log set next_index = next_index + 1 returning next_index - 1 into i;
        insert into audit_entry (log_index, leaf_hash, salt, tenant_id, counterparty_tenant_id, at, kind, subject_id, content)
          values (i, p_leaf, p_salt, p_tenant, p_counterparty, p_at, p_kind, p_subject, p_content);
        return i;
      end $$;
      revoke execute on function audit_append from public;
      grant execute on function audit_append to concordat_app;
      -- The function runs as the ledger's role, which may append and nothing else. Its new owner must be able to create in the
      -- schema at the moment of the change, and the migrating role must be a member of it.
      do $$ begin execute format('grant concordat_ledger to %I', current_user); end $$;
      grant create on schema public to concordat_ledger;
      alter function audit_append owner to concordat_ledger;
      revoke create on schema public from concordat_ledger;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
