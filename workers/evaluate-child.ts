import { loadTrainingInput } from '../src/domain/datasets/training-input.service.js';
import type { EvaluationPlan } from '../src/domain/models/evaluation.service.js';
import { loadFitted } from '../src/domain/models/fitted-model.service.js';
import { evaluate, type EvaluationResult } from '../src/ml/evaluate.js';
import { serveChild } from '../src/platform/child.js';
import type { JobProgress } from '../src/platform/jobs.js';

serveChild<EvaluationPlan, EvaluationResult, JobProgress>(async (plan, { progress, signal }) => {
  progress({ phase: 'loading', fraction: 0 });
  const { table, assignment } = await loadTrainingInput(plan.data);
  const fitted = await loadFitted(plan.fitted);
  const against = plan.against && (await loadFitted(plan.against));
  const { request, spec, part, seed } = plan;
  return evaluate(
    request,
    { fitted, against, table, assignment, part, spec, seed },
    {
      signal,
      onStep: ({ section, done, of, fraction }) => progress({ phase: section, fraction, round: done, rounds: of }),
    },
  );
});
