import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A batch knows that its answers are gone, whoever made them unreadable. */
export class BatchAnswers0000000000027 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      create index batch_chunk_by_blob on batch_chunk (tenant_id, blob_id);
      create function mark_answers_gone() returns trigger language plpgsql as $$
      begin
        update batch_prediction set deleted_at = new.deleted_at
          where tenant_id = new.tenant_id and deleted_at is null and id in (
            select c.batch_id from batch_chunk c where c.tenant_id = new.tenant_id and c.blob_id = new.id);
        return null;
      end $$;
      create trigger mark_answers_gone after update of wrapped_key on blob for each row
        when (new.kind = 'answer' and old.wrapped_key is not null and new.wrapped_key is null)
        execute function mark_answers_gone();
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
