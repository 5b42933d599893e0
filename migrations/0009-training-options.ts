import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a training may ask for beside its columns and hyper-parameters: constraints, for one. */
export class TrainingOptions0000000000009 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      -- Only what was given: an option that is absent is as if the version had never known it.
      alter table training add column options jsonb not null default '{}';
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
