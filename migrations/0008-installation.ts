import type { MigrationInterface, QueryRunner } from 'typeorm';

/** By which master key this database was made: with another one, nothing sealed in it can be opened. */
export class Installation0000000000008 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(`
      create table installation (
        singleton boolean primary key default true check (singleton),
        -- Derived from the master key, one way; only the owner reads it.
        key_fingerprint bytea not null check (octet_length(key_fingerprint) = 32)
      );
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
