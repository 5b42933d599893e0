import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Keys, sealed blobs, uploads, datasets and their versions, splits. */
export class Datasets0000000000003 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      create table tenant_key (
        tenant_id text primary key references tenant (id),
        -- Under the master key: nonce || AES-256-GCM ciphertext || tag.
        wrapped_key bytea not null check (octet_length(wrapped_key) = 60),
        created_at timestamptz not null default now()
      );
      call protect_tenant_table('tenant_key');
      grant select, insert, delete on tenant_key to concordat_app;

      create table blob (
        id text not null check (id ~ '^blb_[0-9a-f]{32}$'),
        tenant_id text not null references tenant (id),
        kind text not null check (kind in ('upload', 'table', 'model')),
        -- Of the sealed file.
        size_bytes bigint not null check (size_bytes >= 0),
        -- Under the tenant's key; null once shredded: then nobody can read the file again.
        wrapped_key bytea check (octet_length(wrapped_key) = 60),
        created_at timestamptz not null default now(),
        deleted_at timestamptz,
        primary key (tenant_id, id),
        check ((wrapped_key is null) = (deleted_at is not null))
      );
      call protect_tenant_table('blob');
      grant select, insert, update on blob to concordat_app;

      create table upload (
        id text not null check (id ~ '^upl_[0-9a-f]{32}$'),
        tenant_id text not null references tenant (id),
        file_name text check (char_length(file_name) between 1 and 255),
        -- As announced; what arrives must match.
        size_bytes bigint not null check (size_bytes >= 0),
        sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
        -- SHA-256 of the secret in the address.
        token_hash bytea not null check (octet_length(token_hash) = 32),
        created_at timestamptz not null,
        expires_at timestamptz not null,
        received_at timestamptz,
        blob_id text,
        primary key (tenant_id, id),
        foreign key (tenant_id, blob_id) references blob (tenant_id, id),
        check ((received_at is null) = (blob_id is null))
      );
      call protect_tenant_table('upload');
      grant select, insert, update on upload to concordat_app;

      create table dataset (
        id text not null check (id ~ '^ds_[0-9a-f]{32}$'),
        tenant_id text not null references tenant (id),
        name text not null check (char_length(name) between 1 and 200),
        description text check (char_length(description) <= 10000),
        created_at timestamptz not null,
        deleted_at timestamptz,
        primary key (tenant_id, id)
      );
      call protect_tenant_table('dataset');
      grant select, insert, update on dataset to concordat_app;

      create table dataset_version (
        id text not null check (id ~ '^dsv_[0-9a-f]{32}$'),
        tenant_id text not null,
        dataset_id text not null,
        number int not null check (number >= 1),
        upload_id text not null,
        -- Its state until it is ready is the state of this job.
        job_id text not null,
        created_at timestamptz not null,
        ready_at timestamptz,
        deleted_at timestamptz,
        format text check (format in ('CSV', 'JSON_LINES', 'PARQUET')),
        row_count bigint,
        rejected_count bigint,
        -- The first rejected lines: number and reason, never content.
        rejects jsonb,
        -- SHA-256 over the canonical columns: the same for the same table in any format.
        digest text check (digest ~ '^[0-9a-f]{64}$'),
        -- One entry a column: name, type, role, categories; and what the API may tell about its values.
        columns jsonb,
        profile jsonb,
        blob_id text,
        primary key (tenant_id, id),
        unique (tenant_id, dataset_id, number),
        foreign key (tenant_id, dataset_id) references dataset (tenant_id, id),
        foreign key (tenant_id, upload_id) references upload (tenant_id, id),
        foreign key (tenant_id, job_id) references job (tenant_id, id),
        foreign key (tenant_id, blob_id) references blob (tenant_id, id),
        check (ready_at is null or deleted_at is not null or (format is not null and row_count is not null and rejected_count is not null
          and rejects is not null and digest is not null and columns is not null and profile is not null and blob_id is not null))
      );
      create index dataset_version_by_upload on dataset_version (tenant_id, upload_id);
      call protect_tenant_table('dataset_version');
      grant select, insert, update on dataset_version to concordat_app;

      create table split (
        id text not null check (id ~ '^spl_[0-9a-f]{32}$'),
        tenant_id text not null,
        dataset_version_id text not null,
        method text not null check (method in ('RANDOM', 'STRATIFIED', 'GROUPED', 'TIME')),
        column_name text,
        train double precision not null,
        validation double precision not null,
        test double precision not null,
        seed bigint not null,
        job_id text not null,
        created_at timestamptz not null,
        ready_at timestamptz,
        train_rows bigint,
        validation_rows bigint,
        test_rows bigint,
        -- SHA-256 over one byte a row: 0 train, 1 validation, 2 test, 255 none.
        digest text check (digest ~ '^[0-9a-f]{64}$'),
        primary key (tenant_id, id),
        foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
        foreign key (tenant_id, job_id) references job (tenant_id, id),
        check (ready_at is null or (train_rows is not null and validation_rows is not null and test_rows is not null and digest is not null)),
        check ((method = 'RANDOM') = (column_name is null)),
        check (train > 0 and validation >= 0 and test >= 0 and abs(train + validation + test - 1) < 1e-9)
      );
      create index split_by_version on split (tenant_id, dataset_version_id);
      call protect_tenant_table('split');
      grant select, insert, update on split to concordat_app;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
