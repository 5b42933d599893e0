import type { Server } from 'node:http';
import type { GraphQLSchema } from 'graphql';
import type { App } from '../app.js';

export interface SocketOptions {
  readonly app: App;
  readonly schema: GraphQLSchema;
  publicUrl(): string;
}

export function attachSockets(_server: Server, _options: SocketOptions): { close(): Promise<void> } {
  return { close: () => Promise.resolve() };
}
