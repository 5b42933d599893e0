import { writeFileSync } from 'node:fs';
import { printedSchema } from './schema.js';

/** Writes schema.graphql into the working directory: `npx tsx src/api/print-schema.ts`. */
writeFileSync('schema.graphql', printedSchema());
