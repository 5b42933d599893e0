import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How a forest answers for the rows that its trees did not draw. */
export class OutOfBag0000000000013 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query('alter table model_version add column out_of_bag jsonb');
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
