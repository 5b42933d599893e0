import { loadConfig } from '../config.js';

/** Asked by the launcher before it starts anything: says what is wrong with the variables, and exits with 78. */
try {
  loadConfig(process.env);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 78;
}
