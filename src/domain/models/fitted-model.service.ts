import { type FittedModel, unpackModel } from '../../ml/infer.js';
import { type SealedBlob, unsealWhole } from '../../platform/sealing.js';

/** The fitted model behind `ModelService.openFitted`. Throws SealError, PackError. */
export async function loadFitted(blob: SealedBlob): Promise<FittedModel> {
  return unpackModel(new Uint8Array(await unsealWhole(blob)));
}
