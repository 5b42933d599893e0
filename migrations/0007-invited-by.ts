import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who invited: an invitation is worth what its author may still do when it is accepted. */
export class InvitedBy0000000000007 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      -- The account; null for an operator's invitation of the first owner, and for invitations from before this column.
      alter table invitation add column invited_by text references account (id);
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
