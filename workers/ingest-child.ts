import { ingestUpload, type IngestInput, type IngestResult } from '../src/domain/datasets/ingest.service.js';
import { serveChild } from '../src/platform/child.js';

serveChild<IngestInput, IngestResult>((input, { progress }) => ingestUpload(input, progress));
