import type { AnsweredPart, BatchAnswers } from './batch-prediction.service.js';
import type { Answer } from './disclose.js';

/** A file in pieces, each of one chunk at most. */
export interface BatchFile {
  readonly type: string;
  readonly pieces: AsyncIterable<string>;
}

/** What the tenant that asked can fetch of a batch. All of it is made from what was disclosed when it was recorded. */
export function batchFile(answers: BatchAnswers, name: string): BatchFile {
  switch (name) {
    case 'answers.csv':
      return { type: 'text/csv; charset=utf-8', pieces: csvOf(answers) };
    case 'answers.jsonl':
      return { type: 'application/jsonl; charset=utf-8', pieces: linesOf(answers) };
    default:
      return { type: 'application/json; charset=utf-8', pieces: manifestOf(answers) };
  }
}

/** The exact text that the recorded digest commits to, with what proves it. */
async function* linesOf({ parts }: BatchAnswers): AsyncGenerator<string> {
  for (const { firstRow, rowCount, receipt, read } of parts)
    yield `{"firstRow":${firstRow},"rowCount":${rowCount},"answer":${await read()},"receipt":${JSON.stringify(receipt)}}\n`;
}

async function* manifestOf({ batch, parts }: BatchAnswers): AsyncGenerator<string> {
  const { id, endpointId, agreementId, agreementVersion, modelVersionId, datasetVersionId, purpose, disclosure } =
    batch;
  const rowsAnswered = parts.reduce((sum, { rowCount }) => sum + rowCount, 0);
  const head = {
    format: 'concordat-batch/1',
    ...{ batchPredictionId: id, endpointId, agreementId, agreementVersion, modelVersionId, datasetVersionId },
    ...{ purpose, disclosure, rowCount: batch.rowCount, rowsAnswered },
    ...{
      state: batch.job.state,
      errorCode: batch.job.errorCode,
      createdAt: batch.createdAt,
      finishedAt: batch.job.finishedAt,
    },
  };
  yield `${JSON.stringify(head).slice(0, -1)},"chunks":[`;
  for (const [at, { firstRow, rowCount, receipt }] of parts.entries())
    yield `${at === 0 ? '' : ','}\n${JSON.stringify({ firstRow, rowCount, receipt })}`;
  yield '\n]}\n';
}

/**
 * RFC 4180. The columns follow from rule and signature alone: `row`, then `label` and, unless the rule tells no score, `score:` and each
 * class in the published order; or `value`. What is not told is empty.
 */
async function* csvOf({ batch, parts }: BatchAnswers): AsyncGenerator<string> {
  const { classes, disclosure } = batch;
  const tellsScores = disclosure.kind !== 'LABEL_ONLY' && (disclosure.kind !== 'NOISY' || disclosure.digits > 0);
  const scored = classes !== null && tellsScores ? classes : [];
  const told = classes === null ? ['value'] : ['label', ...scored.map((name) => `score:${name}`)];
  yield line(['row', ...told]);
  for (const part of parts) yield csvRows(part, JSON.parse(await part.read()) as Answer, scored);
}

function csvRows(
  { firstRow, rowCount }: AnsweredPart,
  { labels, scores, values }: Answer,
  scored: readonly string[],
): string {
  const columns: (readonly (string | number | null)[] | undefined)[] = labels
    ? [labels, ...scored.map((name) => (scores && Object.hasOwn(scores, name) ? scores[name] : undefined))]
    : [values ?? undefined];
  let text = '';
  for (let i = 0; i < rowCount; i++) text += line([firstRow + i, ...columns.map((column) => column?.[i] ?? null)]);
  return text;
}

function line(cells: readonly (string | number | null)[]): string {
  return `${cells.map((cell) => (typeof cell === 'string' ? quoted(cell) : (cell ?? ''))).join(',')}\r\n`;
}

/** An empty text is told apart from nothing. */
function quoted(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
