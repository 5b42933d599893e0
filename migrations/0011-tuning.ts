import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Studies, which search for an algorithm and its hyper-parameters; their trials; the training of what they chose. */
export class Tuning0000000000011 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      create table study (
        id text not null check (id ~ '^stu_[0-9a-f]{32}$'),
        tenant_id text not null,
        -- What every trial has in common, as in training.
        model_id text not null,
        dataset_version_id text not null,
        split_id text not null,
        target text not null,
        features jsonb not null,
        task text not null,
        positive_class text,
        options jsonb not null,
        seed bigint not null,
        -- How to search.
        search text not null,
        algorithms jsonb,
        space jsonb not null,
        metric text,
        folds int,
        limits jsonb not null,
        -- Its state is the state of this job.
        job_id text not null,
        created_at timestamptz not null,
        -- Of all its runs together.
        elapsed_ms bigint not null default 0,
        -- Null until it has ended: by which limit, the trial that was chosen, and its training.
        ended_by text check (ended_by in ('TRIALS', 'SECONDS', 'EXHAUSTED')),
        best_number int,
        training_id text,
        primary key (tenant_id, id),
        foreign key (tenant_id, model_id) references model (tenant_id, id),
        foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
        foreign key (tenant_id, split_id) references split (tenant_id, id),
        foreign key (tenant_id, job_id) references job (tenant_id, id),
        foreign key (tenant_id, training_id) references training (tenant_id, id)
      );
      create index study_by_model on study (tenant_id, model_id, id);
      call protect_tenant_table('study');
      grant select, insert, update (elapsed_ms, ended_by, best_number, training_id) on study to concordat_app;

      -- Stored as each one ends: a study that is taken up again goes on behind them.
      create table trial (
        tenant_id text not null,
        study_id text not null,
        number int not null check (number >= 0),
        algorithm text not null,
        parameters jsonb not null,
        members jsonb,
        state text not null check (state in ('COMPLETE', 'PRUNED', 'FAILED', 'INFEASIBLE')),
        value float8,
        low float8,
        high float8,
        rung int not null,
        resource float8 not null,
        curve jsonb not null,
        rounds int,
        latency_micros float8,
        elapsed_ms bigint not null,
        error_code text,
        error_message text,
        primary key (tenant_id, study_id, number),
        foreign key (tenant_id, study_id) references study (tenant_id, id)
      );
      call protect_tenant_table('trial');
      grant select, insert on trial to concordat_app;

      alter table training
        add column study_id text,
        add foreign key (tenant_id, study_id) references study (tenant_id, id);
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
