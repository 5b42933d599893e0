// @ts-check
import { createServer } from 'node:net';
import { request } from 'node:http';
import { codeOf, Stop } from './stop.mjs';

/**
 * Finds out before the long work whether the API will be able to listen.
 * @param {number} port 0 takes any free one
 * @param {string} host
 * @returns {Promise<number>} the port
 * @throws {Stop} when it is taken or not allowed
 */
export async function checkPort(port, host) {
  const server = createServer();
  try {
    return await new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        const address = server.address();
        resolve(typeof address === 'object' && address ? address.port : port);
      });
    });
  } catch (error) {
    switch (codeOf(error)) {
      case 'EADDRINUSE':
        throw new Stop(
          `Port ${port} is in use by another program.`,
          `Stop it, or choose another: PORT=${port + 1} npm start`,
        );
      case 'EACCES':
        throw new Stop(`Port ${port} is not open to this user.`, 'Choose one above 1023, such as PORT=4000.');
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
        throw new Stop(
          `HOST=${host} is not an address of this machine.`,
          'Use 127.0.0.1, or 0.0.0.0 for all addresses.',
          78,
        );
      default:
        throw error;
    }
  } finally {
    await new Promise((done) => server.close(done));
  }
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {{ port: number, host: string }}
 */
export function readAddress(env) {
  const port = Number(env['PORT'] || 4000);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Stop(`PORT=${env['PORT']} is not a port.`, 'It must be a whole number from 0 to 65535.', 78);
  }
  return { port, host: env['HOST'] || '127.0.0.1' };
}

/**
 * @param {string} url
 * @returns {Promise<boolean>} whether it answers 200 within two seconds
 */
export function answers(url) {
  return new Promise((resolve) => {
    const asking = request(url, { timeout: 2_000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asking.on('timeout', () => asking.destroy());
    asking.on('error', () => resolve(false));
    asking.on('close', () => resolve(false));
    asking.end();
  });
}
