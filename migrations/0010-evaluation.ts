import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Versions keep their fitted model; evaluations of versions. */
export class Evaluation0000000000010 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      -- The fitted model as plain data, sealed; versions from before this column have none.
      alter table model_version
        add column fitted_blob_id text,
        add foreign key (tenant_id, fitted_blob_id) references blob (tenant_id, id);

      create table evaluation (
        id text not null check (id ~ '^evl_[0-9a-f]{32}$'),
        tenant_id text not null,
        model_version_id text not null,
        -- On which rows.
        dataset_version_id text not null,
        split_id text not null,
        part text not null check (part in ('VALIDATION', 'TEST')),
        -- The version that it is compared with on the same rows.
        against_version_id text,
        -- The sections that were asked for; complete: what was not given has its default.
        request jsonb not null,
        seed bigint not null,
        -- Its state is the state of this job.
        job_id text not null,
        created_at timestamptz not null,
        -- By section; null until the job has succeeded.
        result jsonb,
        primary key (tenant_id, id),
        foreign key (tenant_id, model_version_id) references model_version (tenant_id, id),
        foreign key (tenant_id, against_version_id) references model_version (tenant_id, id),
        foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
        foreign key (tenant_id, split_id) references split (tenant_id, id),
        foreign key (tenant_id, job_id) references job (tenant_id, id)
      );
      create index evaluation_by_version on evaluation (tenant_id, model_version_id, id);
      create index evaluation_by_data on evaluation (tenant_id, dataset_version_id);
      call protect_tenant_table('evaluation');
      grant select, insert, update (result) on evaluation to concordat_app;

      -- Figures outlive the data like those of a version; what is told of single rows does not.
      create function forget_examples() returns trigger language plpgsql as $$
      begin
        update evaluation set result = result #- '{shap,examples}'
        where tenant_id = new.tenant_id and dataset_version_id = new.id and result #> '{shap,examples}' is not null;
        return null;
      end $$;
      create trigger forget_examples after update on dataset_version for each row
        when (old.deleted_at is null and new.deleted_at is not null) execute function forget_examples();
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
