import { computeSplit, type SplitInput, type SplitResult } from '../src/domain/datasets/training-input.service.js';
import { serveChild } from '../src/platform/child.js';

serveChild<SplitInput, SplitResult>((input) => computeSplit(input));
