import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A name of the log belongs to the one memory that knows what was signed under it. */
export class LogMemory0000000000025 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      -- Which log-memory it is, outside of the database; null in names of earlier versions until they are used again.
      alter table log_origin add column memory text check (memory ~ '^[0-9a-f]{16}$');
      grant update (memory) on log_origin to concordat_ledger;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
