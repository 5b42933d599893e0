import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How jobs are released to their queues. */
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

      -- A heartbeat alone is no news.
      drop trigger notify on job;
      create trigger notify_made after insert on job for each row execute function notify_job();
      create trigger notify_changed after update on job for each row
        when ((old.state, old.progress, old.cancel_requested) is distinct from (new.state, new.progress, new.cancel_requested))
        execute function notify_job();
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
