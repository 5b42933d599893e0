import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import canonicalize from 'canonicalize';
import pg from 'pg';
import { ConfigError, loadConfig } from '../config.js';
import { leafHash, NO_SALT } from '../domain/audit/leaf.js';
import {
  CONTEXT_COLUMNS,
  contentTextOf,
  contextFault,
  type ContextRow,
  PREDICTION_COLUMNS,
  type PredictionRow,
} from '../domain/audit/prediction.js';
import { TreeHasher } from '../domain/audit/tree.js';
import { roleUrl } from '../platform/db.js';
import { TreeCheck } from './audit-tree.js';

/** What was found: the size and root of the log (RFC 6962), or the first index at which it is not what it must be. */
export type Verdict =
  | { readonly sound: true; readonly size: number; readonly rootHash: string }
  | { readonly sound: false; readonly index: number; readonly because: string };

interface Entry {
  log_index: number;
  leaf_hash: Buffer;
  salt: Buffer;
  tenant_id: string;
  counterparty_tenant_id: string | null;
  at: Date;
  kind: string;
  subject_id: string | null;
  content: string;
  agreement_id: string | null;
  endpoint_id: string | null;
  model_version_id: string | null;
  row_count: number | null;
  refusal_code: string | null;
}

const BATCH = 5000;
const COLUMNS = `log_index, leaf_hash, salt, tenant_id, counterparty_tenant_id, at, kind, subject_id, content,
  agreement_id, endpoint_id, model_version_id, row_count, refusal_code`;

/**
 * Reads the whole log as the ledger's role, in one snapshot, and checks of every entry that no index is missing, that its hash is
 * that of its salt and content, that the content is canonical, and that the columns say what the content says; then, that tiles and
 * checkpoint of the log are those of the entries.
 */
export async function verifyAuditLog(ledgerUrl: string): Promise<Verdict> {
  const client = new pg.Client({ connectionString: ledgerUrl, application_name: 'audit-verify' });
  await client.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    const tree = new TreeHasher();
    const stored = await TreeCheck.open(client);
    const { rows } = await client.query<{ size: number; highest: number }>(SIZES);
    const { size, highest } = rows[0]!;
    while (tree.size < size) {
      const leaves = await readLeaves(client, tree.size);
      for (const until = Math.min(size, tree.size + BATCH); tree.size < until;) {
        const { hash, because } = leaves.get(tree.size) ?? { hash: null, because: 'the entry is missing' };
        if (because !== null || !hash) return { sound: false, index: tree.size, because: because! };
        tree.append(hash);
        const fault = await stored.follow(tree, hash);
        if (fault) return { sound: false, index: tree.size - 1, because: fault };
      }
    }
    const fault = await stored.finish();
    if (fault) return { sound: false, ...fault };
    if (highest >= size) return { sound: false, index: size, because: `the log counts ${size} entries` };
    return { sound: true, size, rootHash: tree.root().toString('hex') };
  } finally {
    await client.end();
  }
}

const SIZES = `select next_index as size, greatest((select max(log_index) from audit_entry), (select max(log_index) from prediction_entry), -1) as highest
  from audit_log`;

interface CheckedLeaf {
  readonly hash: Buffer;
  /** What is wrong with it, or null. */
  readonly because: string | null;
}

/** By index: those of at most BATCH indices from `first` on. */
async function readLeaves(client: pg.Client, first: number): Promise<Map<number, CheckedLeaf>> {
  const range = [first, first + BATCH];
  const leaves = new Map<number, CheckedLeaf>();
  const decisions = await client.query<Entry>(
    `select ${COLUMNS} from audit_entry where log_index >= $1 and log_index < $2`,
    range,
  );
  for (const entry of decisions.rows) leaves.set(entry.log_index, { hash: entry.leaf_hash, because: faultOf(entry) });
  const predictions = await client.query<PredictionRow & ContextRow>(
    `select ${PREDICTION_COLUMNS}, ${CONTEXT_COLUMNS} from prediction_entry e left join prediction_context c on c.id = e.context_id
     where e.log_index >= $1 and e.log_index < $2`,
    range,
  );
  for (const row of predictions.rows)
    leaves.set(row.log_index, leaves.has(row.log_index) ? TWICE : leafOfPrediction(row));
  return leaves;
}

const NO_HASH = Buffer.alloc(32);
const TWICE: CheckedLeaf = { hash: NO_HASH, because: 'there are two entries of this index' };

/** The columns are all there is: the tree alone shows whether they were changed. */
function leafOfPrediction(row: PredictionRow & ContextRow): CheckedLeaf {
  try {
    const because = contextFault(row);
    return { hash: leafHash(NO_SALT, contentTextOf(row)), because };
  } catch {
    return { hash: NO_HASH, because: 'the entry cannot be read' };
  }
}

function faultOf(entry: Entry): string | null {
  if (!leafHash(entry.salt, entry.content).equals(entry.leaf_hash)) return 'the hash is not that of salt and content';
  let said: Said;
  try {
    said = JSON.parse(entry.content) as Said;
  } catch {
    return 'the content is not JSON';
  }
  if (canonicalize(said) !== entry.content) return 'the content is not canonical';
  if (said.tenantId !== entry.tenant_id) return 'the tenant is not the one in the content';
  if (said.counterpartyTenantId !== entry.counterparty_tenant_id)
    return 'the other party is not the one in the content';
  if (said.kind !== entry.kind) return 'the kind is not the one in the content';
  if (said.subjectId !== entry.subject_id) return 'the subject is not the one in the content';
  if (said.at !== entry.at.toISOString()) return 'the time is not the one in the content';
  return isUsageAsSaid(said, entry) ? null : 'the usage is not that in the content';
}

interface Said {
  readonly at?: unknown;
  readonly kind?: unknown;
  readonly tenantId?: unknown;
  readonly counterpartyTenantId?: unknown;
  readonly subjectId?: unknown;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Usage is counted from these columns, which only a prediction has. */
function isUsageAsSaid({ kind, detail }: Said, entry: Entry): boolean {
  const columns = [entry.agreement_id, entry.endpoint_id, entry.model_version_id, entry.row_count, entry.refusal_code];
  if (kind !== 'prediction.answered' && kind !== 'prediction.refused') return columns.every((value) => value === null);
  const { agreementId, endpointId, modelVersionId, rowCount, code = null } = detail ?? {};
  return isDeepStrictEqual(columns, [agreementId, endpointId, modelVersionId, rowCount, code]);
}

/** `npm run audit:verify`: prints size and root, exit code 0; or the first bad index, exit code 1. */
async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const verdict = await verifyAuditLog(roleUrl(config.databaseUrl, config.masterKey, 'concordat_ledger'));
  if (verdict.sound) {
    console.log(`The audit log is sound: ${verdict.size} entries, none missing, every hash right.`);
    console.log(`root hash ${verdict.rootHash}`);
  } else {
    console.error(`The audit log is not sound at index ${verdict.index}: ${verdict.because}.`);
    process.exitCode = 1;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error: unknown) => {
    console.error(
      error instanceof ConfigError ? error.message : `The audit log cannot be read: ${(error as Error).message}`,
    );
    process.exitCode = error instanceof ConfigError ? 78 : 1;
  });
}
