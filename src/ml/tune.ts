/** Door of the learning core: search for the algorithm and hyper-parameters that judge best on rows they have not seen. */
export { SEARCH_SPACES, type Dimension, type SearchSpace } from './tune/space-spec.js';
export { spacesOf } from './tune/space.js';
export { runStudy } from './tune/run.js';
export { SEARCHES } from './tune/study.js';
export type {
  Search,
  SpaceOverride,
  StudyContext,
  StudyLimits,
  StudyProgress,
  StudyResult,
  StudySpec,
  Trial,
  TrialState,
} from './tune/study.js';
