/**
 * Door of the learning core: answers from ONNX models that Concordat trained. Models from elsewhere never come this way: they could
 * block or exhaust the process.
 *
 *   pool.use(digest, load, (model) => batcher.infer(model, { rowCount, write: (inputs, feeds) => writeInputs(inputs, columns, feeds) }))
 */
export { type FittedModel } from './core/model.js';
export { unpackModel } from './core/pack.js';
export { Explainer, Unexplainable } from './evaluate/explainer.js';
export { type Explanation } from './evaluate/shap.js';
export { Batcher, type Inferred, type RowSource } from './onnx/batcher.js';
export { encodeInputs, InputError, MAX_TEXT, type Feeds, type RawValue, writeInputs } from './onnx/encode.js';
export { SessionPool, type Lease } from './onnx/pool.js';
export { infer, loadModel, type Inference, type LoadedModel } from './onnx/session.js';
export { DATATYPES_OF, encodeTensors, MATRIX, type InputTensor, writeTensors } from './onnx/tensor.js';
export { readMetadata, readSignature, type Signature } from './onnx/signature.js';
