import { type FittedModel, unpackModel } from '../../ml/train.js';
import { type SealedBlob, unsealWhole } from '../../platform/sealing.js';

/** For a child process: the fitted model behind `ModelService.openFitted`. Throws SealError, PackError. */
export async function loadFitted(blob: SealedBlob): Promise<FittedModel> {
  return unpackModel(new Uint8Array(await unsealWhole(blob)));
}
