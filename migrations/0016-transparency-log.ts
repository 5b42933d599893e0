import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The audit log becomes a transparency log: its keys, its Merkle tree in tiles, signed checkpoints, and who witnesses them. */
export class TransparencyLog0000000000016 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(ENTRIES);
    await run.query(KEYS);
    await run.query(TREE);
    await run.query(WITNESSES);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

/**
 * What is public of an entry is SHA-256 (salt || content); the leaf is SHA-256 (0x00 || that), so that who hashes public entries as
 * RFC 6962 says comes to our tree. A hash that was wrong before stays wrong, for the check of the log to find.
 */
const ENTRIES = `
  alter table audit_entry no force row level security;
  update audit_entry set leaf_hash = sha256('\\x00'::bytea || sha256(salt || convert_to(content, 'UTF8')))
    where leaf_hash = sha256('\\x00'::bytea || salt || convert_to(content, 'UTF8'));
  alter table audit_entry force row level security;
  comment on column audit_entry.leaf_hash is 'SHA-256 (0x00 || SHA-256 (salt || content)): the leaf of RFC 6962 over the public entry.';

  -- The flush of the ledger hashes by itself, in the versions in which it writes to this table.
  do $$
  declare flush oid;
  begin
    for flush in select p.oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'public' and p.proname = 'ledger_flush' and p.prosrc like '%e.salt || convert_to%'
    loop
      execute replace(pg_get_functiondef(flush),
        $was$sha256('\\x00'::bytea || e.salt || convert_to(e.content, 'UTF8'))$was$,
        $is$sha256('\\x00'::bytea || sha256(e.salt || convert_to(e.content, 'UTF8')))$is$);
    end loop;
  end $$;
`;

const KEYS = `
  -- What the log is called in everything that is signed. A database that was restored from a backup may be behind what was signed:
  -- it goes on under a new name, so that no index is signed twice under one. The last row is the name now.
  create table log_origin (
    number int generated always as identity primary key,
    origin text not null unique,
    began_at timestamptz not null,
    because text not null check (because in ('FIRST', 'RESTORED', 'NOTHING_REMEMBERED', 'ORDERED')),
    -- Entries there were when the name began.
    entries bigint not null,
    -- Which database on which server it began on: another one is a copy.
    server text not null
  );
  create table log_key (
    origin text not null references log_origin (origin),
    -- First 4 bytes of SHA-256 (origin || line feed || 0x01 || public key), as C2SP's signed notes have it.
    id text not null check (id ~ '^[0-9a-f]{8}$'),
    public_key bytea not null check (octet_length(public_key) = 32),
    sealed_private_key bytea not null,
    made_at timestamptz not null,
    retired_at timestamptz,
    -- The key before it says by its signature that this one follows.
    endorsed_by text,
    endorsement bytea check (octet_length(endorsement) = 64),
    check ((endorsed_by is null) = (endorsement is null)),
    primary key (origin, id)
  );
  create unique index log_key_current on log_key (origin) where retired_at is null;
  -- Every process signs with the new key at once.
  create function notify_log() returns trigger language plpgsql as $$
  begin
    perform pg_notify('concordat_log', '');
    return null;
  end $$;
  create trigger notify after insert on log_key for each statement execute function notify_log();
  grant select, insert on log_origin to concordat_ledger;
  grant select, insert on log_key to concordat_ledger;
  grant update (retired_at) on log_key to concordat_ledger;
`;

const TREE = `
  -- The Merkle tree as tiles of 256 hashes (C2SP tlog-tiles). Level -1: the public entries, of which the hashes of level 0 follow; from
  -- level 1 on, hash i of tile n is the root of tile 256 n + i of the level below. Full tiles never change.
  create table log_tile (
    level smallint not null check (level = -1 or level between 1 and 6),
    index bigint not null check (index >= 0),
    data bytea not null check (octet_length(data) between 32 and 8192 and octet_length(data) % 32 = 0),
    primary key (level, index)
  );
  -- Hashes do not compress.
  alter table log_tile alter column data set storage external;
  -- The last checkpoint that was signed.
  create table log_checkpoint (
    singleton boolean primary key default true check (singleton),
    origin text not null,
    tree_size bigint not null,
    root_hash bytea not null check (octet_length(root_hash) = 32),
    signed_at timestamptz not null,
    note text not null
  );
  grant select, insert, update on log_tile, log_checkpoint to concordat_ledger;
  -- There is nothing of a tenant in them, and whoever asks may have them.
  alter table log_tile enable row level security;
  alter table log_checkpoint enable row level security;
  create policy ledger on log_tile to concordat_ledger using (true) with check (true);
  create policy ledger on log_checkpoint to concordat_ledger using (true) with check (true);
  create policy everybody on log_tile for select to concordat_app using (true);
  create policy everybody on log_checkpoint for select to concordat_app using (true);
  grant select on log_tile, log_checkpoint to concordat_app;
`;

const WITNESSES = `
  create table log_witness (
    id text primary key check (id ~ '^wit_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    -- The name of its key in notes: public, and the only thing of a tenant that is.
    name text not null check (name ~ '^[^[:space:]+]{1,200}$'),
    public_key bytea not null check (octet_length(public_key) = 32),
    created_at timestamptz not null,
    removed_at timestamptz,
    unique (tenant_id, id)
  );
  create unique index log_witness_name on log_witness (tenant_id, name) where removed_at is null;
  call protect_tenant_table('log_witness');
  grant select, insert on log_witness to concordat_app;
  grant update (removed_at) on log_witness to concordat_app;

  -- Signatures of witnesses, one a checkpoint and witness. Public: name and key are those of the witness, its tenant is not here.
  create table log_cosignature (
    witness_id text not null references log_witness (id),
    origin text not null,
    tree_size bigint not null,
    root_hash bytea not null check (octet_length(root_hash) = 32),
    signed_at timestamptz not null,
    name text not null,
    public_key bytea not null,
    line text not null,
    primary key (witness_id, origin, tree_size)
  );
  create index log_cosignature_by_size on log_cosignature (origin, tree_size);
  alter table log_cosignature enable row level security;
  create policy everybody on log_cosignature for select to concordat_app using (true);
  create policy own_witness on log_cosignature for insert to concordat_app
    with check (exists (select from log_witness w where w.id = witness_id and w.tenant_id = current_setting('app.tenant_id')));
  grant select, insert on log_cosignature to concordat_app;
`;
