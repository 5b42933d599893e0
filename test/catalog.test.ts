import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
let owner: pg.Client;
beforeAll(async () => {
  database = await createTestDatabase();
  owner = new pg.Client(database.databaseUrl);
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await database.drop();
});

const rowsOf = async <T extends pg.QueryResultRow>(sql: string) => (await owner.query<T>(sql)).rows;
const ROLES = `('concordat_app', 'concordat_relay', 'concordat_gate', 'concordat_ledger')`;

/** Tables without a tenant_id that are protected all the same: by which transactions their rows are seen. */
const PEOPLE = ['account', 'account_password', 'session', 'sign_in_attempt', 'tenant'];

/**
 * Every policy that does not say `tenant_id = current_setting('app.tenant_id')`: whoever adds one adds it here, with the reason.
 * Those of relay, gate and ledger look across tenants and name their role; no resolver can reach those connections.
 */
const EXCEPTIONS: Record<string, string> = {
  'account.members': 'name and address of a tenant’s own members',
  'account.platform': 'people belong to no tenant',
  'account_password.platform': 'people belong to no tenant',
  'session.platform': 'people belong to no tenant',
  'sign_in_attempt.platform': 'people belong to no tenant',
  'tenant.itself': 'a tenant sees itself, the platform the list',
  'audit_entry.parties': 'the tenant that acted, and the other party of an agreement',
  'prediction_context.parties': 'the tenant that asked, and the provider',
  'prediction_entry.parties': 'as the context that it names',
  'agreement.parties': 'agreements are the bridge: both parties see them',
  'agreement.offers': 'the provider alone makes an offer',
  'agreement.steps': 'both parties take steps',
  'agreement_signature.parties': 'both parties see both signatures',
  'agreement_signature.own_hand': 'each party signs for itself',
  'agreement_device.parties': 'both parties see which devices are admitted',
  'agreement_device.admissions': 'the consumer alone says which of its devices',
  'agreement_device.dismissals': 'the consumer alone says which no longer',
  'agreement_version.parties': 'both parties see every version of their agreement',
  'agreement_version.proposals': 'each party proposes for itself',
  'agreement_version.steps': 'both parties take steps',
  'agreement_settlement.parties': 'both parties see the settlement',
  'listing.visible': 'whom the provider lets see it',
  'listing_audience.named': 'a tenant sees that it was named',
  'offer_request.parties': 'both parties see what was asked for',
  'offer_request.asks': 'the consumer alone asks',
  'offer_request.answers': 'the provider answers, the consumer takes back',
  'data_use.parties': 'both parties see what is learned under their agreement',
  'data_use.asks': 'the consumer alone asks',
  'data_use.ends': 'the consumer’s training ends it',
  'agreement_meter.parties': 'both parties see what is used up',
  'agreement_reservation.parties': 'both parties see what jobs hold, and how they ended',
  'log_tile.everybody': 'hashes; nothing of a tenant is in them',
  'log_checkpoint.everybody': 'the size and root of the log, signed',
  'log_cosignature.everybody': 'witnesses are public; their tenants are not in it',
  'log_cosignature.own_witness': 'a tenant adds what its own witness signed',
};

describe('the catalog', () => {
  it('forces row-level security, with a policy, on every table with a tenant_id and on those of people', async () => {
    const tables = await rowsOf<{ name: string; forced: boolean; policies: number }>(`
      select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as forced,
             (select count(*)::int from pg_policy p where p.polrelid = c.oid) as policies
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p') and (
        c.relname in ('${PEOPLE.join("', '")}')
        or exists (select from pg_attribute a where a.attrelid = c.oid and a.attname ~ 'tenant_id$' and not a.attisdropped))`);
    expect(tables.length).toBeGreaterThan(12);
    expect(tables.filter((one) => !one.forced || one.policies === 0)).toEqual([]);
  });

  it('gives the app no table without row-level security but the list of migrations', async () => {
    const open = await rowsOf<{ name: string }>(`
      select distinct c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm') and not c.relrowsecurity
        and (has_table_privilege('concordat_app', c.oid, 'select, insert, update, delete')
          or has_any_column_privilege('concordat_app', c.oid, 'select, insert, update'))`);
    expect(open.map((one) => one.name).sort()).toEqual(['migration']);
  });

  it('lists every policy that looks beyond one tenant', async () => {
    const policies = await rowsOf<{ name: string; roles: string[]; using: string | null; check: string | null }>(`
      select tablename || '.' || policyname as name, roles::text[] as roles, qual as using, with_check as check
      from pg_policies where schemaname = 'public'`);
    const ours = `(tenant_id = current_setting('app.tenant_id'::text))`;
    const beyond = policies.filter((one) => (one.using ?? ours) !== ours || (one.check ?? ours) !== ours);
    const across = beyond.filter((one) => /^\{?concordat_(relay|gate|ledger)\}?$/.test(String(one.roles)));
    for (const { name, roles } of across)
      expect(name.split('.')[1], name).toMatch(String(roles).replace('concordat_', ''));
    const rest = beyond.filter((one) => !across.includes(one)).map((one) => one.name);
    expect(rest.filter((name) => !(name in EXCEPTIONS))).toEqual([]);
    for (const { name, roles } of policies) expect(roles, `${name} must name its role`).not.toContain('public');
  });

  it('has roles that can neither go around row-level security nor make or become others', async () => {
    const roles = await rowsOf(
      `select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles where rolname in ${ROLES}`,
    );
    expect(roles).toHaveLength(4);
    for (const { rolname, ...rights } of roles) expect(Object.values(rights), String(rolname)).not.toContain(true);
    expect(
      await rowsOf(
        `select m.rolname from pg_auth_members a join pg_roles m on m.oid = a.member where m.rolname in ${ROLES}`,
      ),
    ).toEqual([]);
    expect(await rowsOf(`select relname from pg_class where pg_get_userbyid(relowner) in ${ROLES}`)).toEqual([]);
    for (const { rolname } of roles)
      expect(await rowsOf(`select has_schema_privilege('${rolname}', 'public', 'create') as may`)).toEqual([
        { may: false },
      ]);
  });

  it('grants no more than is used', async () => {
    const grants = await rowsOf<{ grantee: string; table_name: string; privileges: string }>(`
      select grantee, table_name, string_agg(lower(privilege_type), ', ' order by privilege_type) as privileges
      from information_schema.role_table_grants where table_schema = 'public' and grantee in ${ROLES} group by 1, 2`);
    const of = (role: string, table: string) =>
      grants.find((one) => one.grantee === `concordat_${role}` && one.table_name === table)?.privileges ?? '';
    // The log is appended to by a function; nobody but the ledger inserts, and nobody changes or deletes.
    expect(of('app', 'audit_entry')).toBe('select');
    expect(of('ledger', 'audit_entry')).toBe('insert, select');
    expect(of('app', 'audit_log')).toBe('');
    expect(grants.filter((one) => /truncate|references|trigger/.test(one.privileges))).toEqual([]);
    expect(
      grants.filter((one) => one.grantee === 'concordat_gate' && /insert|update|delete/.test(one.privileges)),
    ).toEqual([]);
    expect(of('gate', 'account_password') + of('relay', 'account_password') + of('ledger', 'account_password')).toBe(
      '',
    );
    const hashes = await rowsOf<{ may: boolean }>(
      `select has_any_column_privilege('concordat_gate', 'account_password', 'select') as may`,
    );
    expect(hashes).toEqual([{ may: false }]);
  });

  it('lets no other function run with the rights of its owner, nor anybody run it', async () => {
    const definers = await rowsOf<{ name: string; anybody: boolean; path: string[] | null }>(`
      select p.proname as name, has_function_privilege('public', p.oid, 'execute') as anybody, p.proconfig as path
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'public' and p.prosecdef`);
    for (const { name, anybody, path } of definers) {
      expect(anybody, name).toBe(false);
      expect(String(path), name).toContain('search_path=');
    }
  });

  it('starts the unique keys of tenants’ tables with the tenant, but for ids and secrets', async () => {
    const keys = await rowsOf<{ table: string; columns: string[] }>(`
      select c.relname as table, array(select a.attname::text from unnest(x.indkey::int2[]) with ordinality k(n, i)
               join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n order by k.i) as columns
      from pg_index x join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and x.indisunique
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')`);
    const global = (columns: string[]) =>
      columns.length === 1 && /^(id|token_hash|log_index|prediction_id|receipt_id)$/.test(columns[0]!);
    expect(keys.filter(({ columns }) => columns[0] !== 'tenant_id' && !global(columns))).toEqual([]);
  });

  it('lets no transaction of a tenant see passwords, sessions or other people', async () => {
    const { roleUrl } = await import('../src/platform/db.js');
    const app = new pg.Client(roleUrl(database.databaseUrl, database.masterKey, 'concordat_app'));
    await app.connect();
    try {
      await expect(app.query('select * from account')).rejects.toThrow('app.tenant_id');
      await app.query('begin');
      await app.query(`select set_config('app.tenant_id', 'platform', true)`);
      await app.query(`insert into account values ('acc_${'0'.repeat(32)}', 'a@b.c', 'A', false, now())`);
      await app.query(`insert into account_password values ('acc_${'0'.repeat(32)}', 'x', now())`);
      await app.query('commit');
      for (const table of ['account', 'account_password', 'session', 'sign_in_attempt']) {
        // A connection that has had a tenant before has an empty one afterwards, which is nobody's.
        expect((await app.query(`select * from ${table}`)).rows, table).toEqual([]);
        await app.query('begin');
        await app.query(`select set_config('app.tenant_id', 'ten_${'1'.repeat(32)}', true)`);
        expect((await app.query(`select * from ${table}`)).rows, table).toEqual([]);
        await app.query('rollback');
      }
    } finally {
      await app.end();
    }
  });
});
