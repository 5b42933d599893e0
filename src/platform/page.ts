import { AppError } from './errors.js';

/** One page of a list, in Relay's form: what a service returns and a connection type shows. */
export interface Page<T> {
  readonly edges: { readonly cursor: string; readonly node: T }[];
  readonly nodes: T[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

export interface PageRequest {
  readonly first?: number | null;
  readonly after?: string | null;
}

const DEFAULT = 20;
const MOST = 100;

/**
 * Reads one page by key set: `list(after, limit)` returns at most `limit` rows beyond the key `after`, in the list's order.
 * Ids sort by the time they were made, so that the id alone is the key of most lists.
 */
export async function readPage<T>(
  request: PageRequest,
  keyOf: (row: T) => string,
  list: (after: string | null, limit: number) => Promise<T[]>,
): Promise<Page<T>> {
  const first = request.first ?? DEFAULT;
  if (!Number.isInteger(first) || first < 1 || first > MOST)
    throw new AppError('INVALID_INPUT', `first must be between 1 and ${MOST}.`, { field: 'first' });
  const after = request.after ? decodeCursor(request.after) : null;
  const rows = await list(after, first + 1);
  const edges = rows.slice(0, first).map((node) => ({ cursor: encodeCursor(keyOf(node)), node }));
  return {
    edges,
    nodes: edges.map((edge) => edge.node),
    pageInfo: {
      hasNextPage: rows.length > first,
      hasPreviousPage: after !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

function encodeCursor(key: string): string {
  return Buffer.from(`k:${key}`).toString('base64url');
}

function decodeCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!text.startsWith('k:') || text.length > 200 || encodeCursor(text.slice(2)) !== cursor)
    throw new AppError('INVALID_CURSOR', 'This cursor was not given by this list.');
  return text.slice(2);
}
