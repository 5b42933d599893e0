import { type FittedModel } from '../core/model.js';

export interface ExportOptions {
  readonly name: string;
  /** Lineage and whatever the caller wants to travel with the file. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** One ONNX file from raw named columns to answers. The same model gives the same bytes. */
export function exportOnnx(_fitted: FittedModel, _options: ExportOptions): Uint8Array {
  throw new Error('not yet');
}
