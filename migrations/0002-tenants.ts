import type { MigrationInterface, QueryRunner } from 'typeorm';

/** People and their sessions, members and invitations, applications and their keys, sign-in attempts. */
export class Tenants0000000000002 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(PEOPLE);
    await run.query(ACCESS);
    await run.query(GATE);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

/**
 * People belong to no tenant, so their tables carry no tenant_id. A transaction of a tenant sees the name and address of its own
 * members and nothing else; everything else about people is seen by transactions of the platform only, which the account and
 * tenant services alone open.
 */
const PEOPLE = `
  create table account (
    id text primary key check (id ~ '^acc_[0-9a-f]{32}$'),
    email text not null unique check (email = lower(email) and char_length(email) between 3 and 254),
    name text not null check (char_length(name) between 1 and 200),
    operator boolean not null default false,
    created_at timestamptz not null
  );
  create table account_password (
    account_id text primary key references account (id) on delete cascade,
    -- PHC string of argon2id; it names its own parameters.
    hash text not null,
    changed_at timestamptz not null
  );

  create table membership (
    id text not null unique check (id ~ '^mem_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    account_id text not null references account (id),
    role text not null check (role in ('OWNER', 'ADMIN', 'DATA_SCIENTIST', 'STEWARD', 'VIEWER', 'AUDITOR')),
    created_at timestamptz not null,
    primary key (tenant_id, account_id)
  );
  create index membership_by_account on membership (account_id);
  call protect_tenant_table('membership');
  grant select, insert, delete, update (role) on membership to concordat_app;

  create table session (
    id text primary key check (id ~ '^ses_[0-9a-f]{32}$'),
    account_id text not null references account (id) on delete cascade,
    -- SHA-256 of a random token of 256 bits: nothing to guess, so no salt and no slow hash.
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    -- Which of the account's tenants the session works in; none any more when the membership ends.
    current_tenant_id text,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    foreign key (current_tenant_id, account_id) references membership (tenant_id, account_id)
      on delete set null (current_tenant_id)
  );
  create index session_by_account on session (account_id);

  -- Failed or unfinished attempts, by a digest of the address typed in or the address called from.
  create table sign_in_attempt (
    id bigint generated always as identity primary key,
    key text not null,
    at timestamptz not null
  );
  create index sign_in_attempt_by_key on sign_in_attempt (key, at);

  alter table account enable row level security;
  alter table account force row level security;
  create policy platform on account to concordat_app using (current_setting('app.tenant_id') = 'platform');
  create policy members on account for select to concordat_app
    using (exists (select from membership m where m.account_id = account.id and m.tenant_id = current_setting('app.tenant_id')));
  alter table account_password enable row level security;
  alter table account_password force row level security;
  create policy platform on account_password to concordat_app using (current_setting('app.tenant_id') = 'platform');
  alter table session enable row level security;
  alter table session force row level security;
  create policy platform on session to concordat_app using (current_setting('app.tenant_id') = 'platform');
  alter table sign_in_attempt enable row level security;
  alter table sign_in_attempt force row level security;
  create policy platform on sign_in_attempt to concordat_app using (current_setting('app.tenant_id') = 'platform');
  grant select, insert on account to concordat_app;
  grant select, insert, update (hash, changed_at) on account_password to concordat_app;
  grant select, insert, delete, update (current_tenant_id) on session to concordat_app;
  grant select, insert, delete on sign_in_attempt to concordat_app;
`;

const ACCESS = `
  create table invitation (
    id text not null unique check (id ~ '^inv_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    email text not null check (email = lower(email) and char_length(email) between 3 and 254),
    role text not null check (role in ('OWNER', 'ADMIN', 'DATA_SCIENTIST', 'STEWARD', 'VIEWER', 'AUDITOR')),
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    primary key (tenant_id, id)
  );
  call protect_tenant_table('invitation');
  grant select, insert, update (accepted_at) on invitation to concordat_app;

  create table application (
    id text not null unique check (id ~ '^app_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    name text not null check (char_length(name) between 1 and 200),
    created_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, name)
  );
  call protect_tenant_table('application');
  grant select, insert on application to concordat_app;

  create table api_key (
    id text not null unique check (id ~ '^key_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    application_id text not null,
    name text not null check (char_length(name) between 1 and 200),
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    -- The first letters of the token, by which a person recognises it.
    hint text not null,
    permissions text[] not null check (cardinality(permissions) between 1 and 50),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, application_id) references application (tenant_id, id)
  );
  create index api_key_by_application on api_key (tenant_id, application_id, id);
  call protect_tenant_table('api_key');
  grant select, insert, update (revoked_at) on api_key to concordat_app;
`;

/** What turns a token into a scope is read by the gate's role, across tenants, and by no other; it sees no password. */
const GATE = `
  create policy gate on tenant for select to concordat_gate using (true);
  create policy gate on account for select to concordat_gate using (true);
  create policy gate on membership for select to concordat_gate using (true);
  create policy gate on session for select to concordat_gate using (true);
  create policy gate on invitation for select to concordat_gate using (true);
  create policy gate on api_key for select to concordat_gate using (true);
  -- Whether the process and the database are of one version.
  grant select on migration to concordat_app;
  grant select (id, name) on tenant to concordat_gate;
  grant select (id, email, name, operator) on account to concordat_gate;
  grant select (id, tenant_id, account_id, role) on membership to concordat_gate;
  grant select (id, account_id, token_hash, current_tenant_id, expires_at) on session to concordat_gate;
  grant select (id, tenant_id, email, role, token_hash, expires_at, accepted_at) on invitation to concordat_gate;
  grant select (id, tenant_id, application_id, token_hash, permissions, expires_at, revoked_at) on api_key to concordat_gate;

  -- Whoever keeps an authenticated connection open hears at once that its right has changed. Payload: the account's or the key's id.
  create function notify_credential() returns trigger language plpgsql as $$
  begin
    perform pg_notify('concordat_credential', case when tg_table_name = 'api_key' then old.id else to_jsonb(old) ->> 'account_id' end);
    return null;
  end $$;
  create trigger notify after update or delete on session for each row execute function notify_credential();
  create trigger notify after update or delete on membership for each row execute function notify_credential();
  create trigger notify after update on api_key for each row execute function notify_credential();
`;
