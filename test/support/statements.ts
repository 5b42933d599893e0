import type { DataSource, Logger, QueryRunner } from 'typeorm';

/** Tables with a tenant, and the columns that name it. */
const MENTION = /\b(from|join|update|into)\s+"?(\w+)"?/gi;
const NAMED = /\b(?:\w+_)?tenant_id"?\s*=|\bin\s*\((?!select)[^)]*tenant_id\b/gi;
const BECOME = `set_config('app.tenant_id'`;

/**
 * Watches the first lock: whatever row-level security would say, a statement must name the tenant of its transaction, by a parameter,
 * and restrict each tenants' table that it mentions. The statements that do not are added to the list that is returned.
 */
export async function watchStatements(app: DataSource): Promise<string[]> {
  const rows = await app.query<{ name: string }[]>(
    `select distinct table_name as name from information_schema.columns
     where table_schema = 'public' and column_name in ('tenant_id', 'provider_tenant_id')`,
  );
  const tables = new Set(rows.map(({ name }) => name));
  const tenantOf = new WeakMap<QueryRunner, unknown>();
  const forgotten: string[] = [];
  const logQuery = (text: string, parameters: unknown[] = [], runner?: QueryRunner) => {
    if (runner && text.includes(BECOME)) tenantOf.set(runner, parameters[0]);
    const mentions = [...text.matchAll(MENTION)].filter(([, , table]) => tables.has(table!));
    if (mentions.length === 0) return;
    const read = mentions.filter(([, how]) => how!.toLowerCase() !== 'into').length;
    const named = text.match(NAMED)?.length ?? 0;
    if (named < read || !runner || !parameters.includes(tenantOf.get(runner))) forgotten.push(text);
  };
  const nothing = () => undefined;
  app.logger = {
    logQuery,
    logQueryError: nothing,
    logQuerySlow: nothing,
    logSchemaBuild: nothing,
    logMigration: nothing,
    log: nothing,
  } satisfies Logger;
  return forgotten;
}
