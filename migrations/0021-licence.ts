import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a tenant has declared about the use of its data, dataset version by dataset version. */
export class Licence0000000000021 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      create table data_licence (
        tenant_id text not null references tenant (id),
        dataset_version_id text not null,
        -- Null: any purpose, any region.
        purposes text[] check (cardinality(purposes) > 0),
        regions text[] check (cardinality(regions) > 0),
        -- Whether models that were trained on it may answer others.
        may_be_offered boolean not null,
        -- The first moment at which nothing more may be answered from it.
        until timestamptz,
        declared_at timestamptz not null,
        primary key (tenant_id, dataset_version_id),
        foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id)
      );
      call protect_tenant_table('data_licence');
      grant select, insert, update on data_licence to concordat_app;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
