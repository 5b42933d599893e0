import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How jobs are released to their queues; models, their versions and aliases, training. */
export class Training0000000000004 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      -- A retried job goes on counting its attempts: the number is the fence.
      alter table job drop constraint job_max_attempts_check;
      -- Handed to the queue by the relay; null while it waits for its turn.
      alter table job add column released_at timestamptz;
      drop index job_unfinished;
      create index job_unfinished on job (tenant_id, name) where state in ('QUEUED', 'RUNNING');
      create index job_running on job (heartbeat_at) where state = 'RUNNING';

      -- A row is deleted when the queue has the message.
      drop index outbox_unsent;
      alter table outbox
        drop column sent_at,
        add column queue text not null default 'data',
        add column available_at timestamptz not null default now();
      alter table outbox alter column queue drop default;
      create index outbox_waiting on outbox (queue, tenant_id, id);

      -- Who waits for a job may know its id, or only what it works on.
      create or replace function notify_job() returns trigger language plpgsql as $$
      begin
        perform pg_notify('concordat_job', new.tenant_id || ' ' || new.id);
        perform pg_notify('concordat_subject', new.tenant_id || ' ' || new.subject_id);
        return null;
      end $$;
      -- A heartbeat alone is no news.
      drop trigger notify on job;
      create trigger notify_made after insert on job for each row execute function notify_job();
      create trigger notify_changed after update on job for each row
        when ((old.state, old.progress, old.cancel_requested) is distinct from (new.state, new.progress, new.cancel_requested))
        execute function notify_job();
    `);
    await run.query(REGISTRY);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

const REGISTRY = `
  create table model (
    id text not null check (id ~ '^mdl_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    name text not null check (char_length(name) between 1 and 200),
    description text check (char_length(description) <= 10000),
    -- Counts the versions: each takes the next number under the lock of this row.
    last_number int not null default 0,
    created_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, name)
  );
  call protect_tenant_table('model');
  grant select, insert, update on model to concordat_app;

  create table training (
    id text not null check (id ~ '^trn_[0-9a-f]{32}$'),
    tenant_id text not null,
    model_id text not null,
    dataset_version_id text not null,
    split_id text not null,
    target text not null,
    -- Names of columns; what was not given is chosen at the start.
    features jsonb not null,
    task text not null,
    positive_class text,
    algorithm text not null,
    -- Complete: what was not given has its default.
    parameters jsonb not null,
    seed bigint not null,
    -- Its state is the state of this job.
    job_id text not null,
    created_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, model_id) references model (tenant_id, id),
    foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
    foreign key (tenant_id, split_id) references split (tenant_id, id),
    foreign key (tenant_id, job_id) references job (tenant_id, id)
  );
  create index training_by_model on training (tenant_id, model_id, id);
  call protect_tenant_table('training');
  grant select, insert on training to concordat_app;

  create table model_version (
    id text not null check (id ~ '^mdv_[0-9a-f]{32}$'),
    tenant_id text not null,
    model_id text not null,
    number int not null check (number >= 1),
    created_at timestamptz not null,
    -- The ONNX file: SHA-256 of its plain bytes, where it lies sealed.
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    size_bytes bigint not null,
    blob_id text not null,
    -- Inputs, classes, threshold: what the file takes and answers.
    signature jsonb not null,
    -- Lineage.
    training_id text not null,
    dataset_version_id text not null,
    dataset_digest text not null,
    split_id text not null,
    split_digest text not null,
    algorithm text not null,
    parameters jsonb not null,
    seed bigint not null,
    code_version text not null,
    -- How good it is, and that the file answers like the trainer.
    validation jsonb not null,
    test jsonb not null,
    parity jsonb not null check ((parity ->> 'passed')::boolean),
    importance jsonb not null,
    history jsonb not null,
    warnings jsonb not null,
    rounds int not null,
    best_round int not null,
    train_rows bigint not null,
    elapsed_ms bigint not null,
    peak_memory_bytes bigint not null,
    -- The one thing that changes: its data were deleted.
    derived_from_deleted_data boolean not null default false,
    primary key (tenant_id, id),
    unique (tenant_id, model_id, number),
    -- However often a training runs, it makes one version.
    unique (tenant_id, training_id),
    unique (tenant_id, model_id, id),
    foreign key (tenant_id, model_id) references model (tenant_id, id),
    foreign key (tenant_id, training_id) references training (tenant_id, id),
    foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
    foreign key (tenant_id, split_id) references split (tenant_id, id),
    foreign key (tenant_id, blob_id) references blob (tenant_id, id)
  );
  create index model_version_by_split on model_version (tenant_id, split_id);
  create index model_version_by_data on model_version (tenant_id, dataset_version_id);
  call protect_tenant_table('model_version');
  grant select, insert, update (derived_from_deleted_data) on model_version to concordat_app;

  create function refuse_change() returns trigger language plpgsql as $$
  begin
    if tg_op = 'UPDATE' and to_jsonb(new) - 'derived_from_deleted_data' = to_jsonb(old) - 'derived_from_deleted_data' then
      return new;
    end if;
    raise exception 'a model version never changes' using errcode = 'restrict_violation';
  end $$;
  create trigger immutable before update or delete on model_version for each row execute function refuse_change();

  -- Whoever deletes data need not know what was made of them.
  create function mark_derived() returns trigger language plpgsql as $$
  begin
    update model_version set derived_from_deleted_data = true
    where tenant_id = new.tenant_id and dataset_version_id = new.id and not derived_from_deleted_data;
    return null;
  end $$;
  create trigger mark_derived after update on dataset_version for each row
    when (old.deleted_at is null and new.deleted_at is not null) execute function mark_derived();

  create table model_alias (
    tenant_id text not null,
    model_id text not null,
    alias text not null check (alias ~ '^[a-z][a-z0-9-]{0,62}$'),
    version_id text not null,
    set_at timestamptz not null,
    primary key (tenant_id, model_id, alias),
    foreign key (tenant_id, model_id, version_id) references model_version (tenant_id, model_id, id)
  );
  call protect_tenant_table('model_alias');
  grant select, insert, update, delete on model_alias to concordat_app;
`;
