/** The arrows of the house (docs/DECISIONS.md). Every one is an error. */
const between = (name, from, to, extra = {}) => ({
  name,
  severity: 'error',
  from: { path: from, ...extra.from },
  to: { path: to, ...extra.to },
});
const domains = [
  'audit',
  'tenants',
  'datasets',
  'models',
  'training',
  'tuning',
  'agreements',
  'metering',
  'serving',
  'monitoring',
  'privacy',
];
const ours = '^(src|workers|migrations|test|bench)/';
const mlDoors = '^src/ml/(evaluate|train|import|infer|spec|split|tune)\\.ts$';

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    between('ml-knows-only-itself', '^src/ml/', ours, { to: { pathNot: '^src/ml/' } }),
    between('platform-knows-only-itself', '^src/platform/', ours, { to: { pathNot: '^src/platform/' } }),
    between('domain-not-upwards', '^src/domain/', '^(src/(api|console|launch|cli|app|config|main)|workers|migrations)'),
    between('ml-through-its-doors', '^(src/domain|workers)/', '^src/ml/', { to: { pathNot: mlDoors } }),
    between('api-not-down-to-work', '^src/api/', '^(src/(ml|console|launch|cli)|workers)/'),
    between('console-speaks-only-the-schema', '^src/console/', ours, { to: { pathNot: '^src/console/' } }),
    between('workers-load-no-edge', '^workers/', '^src/(api|console)/|\\.resolver\\.ts$'),
    {
      name: 'workers-never-load-graphql',
      severity: 'error',
      from: { path: '^workers/' },
      to: { path: 'node_modules/(type-graphql|@apollo/server|graphql)/', reachable: true },
    },
    between('launch-needs-only-node', '^src/launch/', '^(src|workers|migrations)/|(^|/)node_modules/', {
      to: { pathNot: '^src/launch/' },
    }),
    // Whoever verifies takes these files away and runs them without anything of ours.
    between(
      'verifier-needs-only-node',
      '^src/cli/(concordat|monitor|verifier)\\.mjs$',
      '^(src|workers|migrations)/|(^|/)node_modules/',
      {
        to: { pathNot: '^src/cli/(monitor|verifier)\\.mjs$' },
      },
    ),
    {
      name: 'another-domain-through-its-service',
      severity: 'error',
      from: { path: '^src/domain/([^/]+)/.+(?<!resolver)\\.ts$' },
      to: { path: '^src/domain/[^/]+/', pathNot: ['^src/domain/$1/', '\\.service\\.ts$'] },
    },
    {
      name: 'resolver-sees-services-and-types',
      severity: 'error',
      from: { path: '^src/domain/([^/]+)/.+\\.resolver\\.ts$' },
      to: { path: '^src/domain/[^/]+/', pathNot: ['^src/domain/$1/', '\\.(service|types)\\.ts$'] },
    },
    ...domains.map((name, i) => ({
      name: `order-${name}`,
      severity: 'error',
      from: { path: `^src/domain/${name}/` },
      to: { path: `^src/domain/(${domains.slice(i + 1).join('|') || 'none'})/` },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
