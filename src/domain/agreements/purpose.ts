/**
 * Why a prediction is asked for: a small tree. Permission for a purpose covers those below it. `under` is null at the top.
 * A request declares one; that it is true, only the signed word of the consumer says.
 */
export const PURPOSES = {
  RESEARCH: { under: null, means: 'Finding out, without effect on any person or order.' },
  ACADEMIC_RESEARCH: { under: 'RESEARCH', means: 'Research that is to be published.' },
  PRODUCT_RESEARCH: { under: 'RESEARCH', means: 'Research towards products of one’s own.' },
  EVALUATION: { under: 'RESEARCH', means: 'Comparing models, or testing before use.' },
  OPERATIONS: { under: null, means: 'Running one’s own business.' },
  FORECASTING: { under: 'OPERATIONS', means: 'Foreseeing demand, load or prices.' },
  QUALITY_CONTROL: { under: 'OPERATIONS', means: 'Inspecting goods or processes.' },
  MAINTENANCE: { under: 'OPERATIONS', means: 'Keeping machines running.' },
  SECURITY: { under: 'OPERATIONS', means: 'Finding intrusions, spam and abuse.' },
  DECISIONS_ABOUT_PERSONS: { under: null, means: 'Supporting or making decisions about people.' },
  CREDIT: { under: 'DECISIONS_ABOUT_PERSONS', means: 'Granting and pricing credit.' },
  INSURANCE: { under: 'DECISIONS_ABOUT_PERSONS', means: 'Accepting and pricing insurance.' },
  FRAUD_PREVENTION: { under: 'DECISIONS_ABOUT_PERSONS', means: 'Finding fraud.' },
  HEALTH: { under: 'DECISIONS_ABOUT_PERSONS', means: 'Diagnosis, treatment and care.' },
  EMPLOYMENT: { under: 'DECISIONS_ABOUT_PERSONS', means: 'Choosing and managing staff.' },
  MARKETING: { under: null, means: 'Choosing what to show or offer to whom.' },
  PERSONALISATION: { under: 'MARKETING', means: 'Recommending and ranking for one person.' },
  ADVERTISING: { under: 'MARKETING', means: 'Choosing who sees an advertisement.' },
} as const satisfies Record<string, { readonly under: string | null; readonly means: string }>;

export type Purpose = keyof typeof PURPOSES;

/** Whether one of `allowed` is `purpose` or stands above it. */
export function purposeAllowed(allowed: readonly Purpose[], purpose: Purpose): boolean {
  for (let at: Purpose | null = purpose; at !== null; at = PURPOSES[at].under) if (allowed.includes(at)) return true;
  return false;
}
