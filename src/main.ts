import 'reflect-metadata';
import { startApi } from './api/server.js';
import { openApp } from './app.js';
import { ConfigError, loadConfig } from './config.js';
import { UnfitDatabaseError } from './platform/db.js';

/** The API process: configuration, app, schema, listen; closes on SIGTERM and SIGINT, once what is under way has been answered. */
async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const app = await openApp(config, 'api');
  const api = await startApi(app).catch(async (error: unknown) => {
    await app.close();
    throw error;
  });
  app.log.info({ url: api.url }, 'listening');
  const stop = () => {
    process.off('SIGTERM', stop).off('SIGINT', stop);
    void api
      .close()
      .then(() => app.close())
      .catch((error: unknown) => {
        app.log.error({ err: error }, 'the end was not clean');
        process.exitCode = 1;
      });
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

main().catch((error: unknown) => {
  const { code, message, stack } = error as NodeJS.ErrnoException;
  const misconfigured = error instanceof ConfigError || error instanceof UnfitDatabaseError;
  const mendable = misconfigured || code === 'EADDRINUSE' || code === 'EACCES';
  process.stderr.write(`${mendable ? message : stack}\n`);
  process.exitCode = misconfigured ? 78 : 1;
});
