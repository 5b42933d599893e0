import type { MigrationInterface, QueryRunner } from 'typeorm';

/** News of everything that a remembered session depends on; settlements count from the entries. */
export class Tidy0000000000024 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(NEWS);
    await run.query(`alter table agreement_version drop column rows_before`);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

/** Payload, as before: the id of the account, or that of the key. */
const NEWS = `
  create or replace function notify_credential() returns trigger language plpgsql as $$
  begin
    perform pg_notify('concordat_credential',
      to_jsonb(coalesce(old, new)) ->> case when tg_table_name in ('api_key', 'account') then 'id' else 'account_id' end);
    return null;
  end $$;
  create trigger notify_of_joining after insert on membership for each row execute function notify_credential();
  create trigger notify after update or delete on account for each row execute function notify_credential();
`;
