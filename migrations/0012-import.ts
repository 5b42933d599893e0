import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Models that another library trained; versions made of them. */
export class Import0000000000012 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      -- What was last made of the file: a dataset version or an import.
      alter table upload add column taken_by text;
      update upload u set taken_by = (
        select max(v.id) from dataset_version v where v.tenant_id = u.tenant_id and v.upload_id = u.id);

      create table model_import (
        id text not null check (id ~ '^imp_[0-9a-f]{32}$'),
        tenant_id text not null,
        model_id text not null,
        dataset_version_id text not null,
        split_id text not null,
        upload_id text not null,
        -- Of the file, for the lineage: the upload itself is shredded when the version is made.
        sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
        size_bytes bigint not null,
        format text not null check (format in ('AUTO', 'XGBOOST_JSON', 'XGBOOST_UBJ', 'LIGHTGBM_TEXT')),
        target text not null,
        -- As they were given; null: told from the file and the data.
        columns jsonb,
        categories jsonb not null,
        classes jsonb,
        seed bigint not null,
        -- Its state is the state of this job.
        job_id text not null,
        created_at timestamptz not null,
        primary key (tenant_id, id),
        foreign key (tenant_id, model_id) references model (tenant_id, id),
        foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
        foreign key (tenant_id, split_id) references split (tenant_id, id),
        foreign key (tenant_id, upload_id) references upload (tenant_id, id),
        foreign key (tenant_id, job_id) references job (tenant_id, id)
      );
      create index model_import_by_model on model_import (tenant_id, model_id, id);
      call protect_tenant_table('model_import');
      grant select, insert on model_import to concordat_app;

      -- A version comes from a training or from an import, and each makes one.
      alter table model_version
        alter column training_id drop not null,
        add column import_id text,
        -- Format, library, objective and digest of the imported file.
        add column source jsonb,
        add foreign key (tenant_id, import_id) references model_import (tenant_id, id),
        add unique (tenant_id, import_id),
        add check ((training_id is null) = (import_id is not null)),
        add check ((source is null) = (import_id is null));
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
