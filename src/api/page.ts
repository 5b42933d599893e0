import type { Route } from './route.js';

export function pageRoutes(): Route[] {
  return [];
}
