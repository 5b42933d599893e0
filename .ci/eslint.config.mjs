// @ts-check
import tseslint from 'typescript-eslint';

/** @type {(name: string, why: string) => { object: string, property: string, message: string }} */
const banned = (name, why) => {
  const [object = '', property = ''] = name.split('.');
  return { object, property, message: why };
};

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.concordat/**', 'src/console/generated/**'] },
  ...tseslint.configs.recommended,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['.ci/*', 'examples/*/*.mjs'] },
        tsconfigRootDir: new URL('..', import.meta.url).pathname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'no-console': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
      'max-lines': ['error', { max: 420, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_+$' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    },
  },
  {
    files: ['src/**/*.ts', 'workers/**/*.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'error', '@typescript-eslint/no-misused-promises': 'error' },
  },
  {
    // The same seed gives the same bytes: the learning core takes randomness and time as arguments.
    files: ['src/ml/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        banned('Math.random', 'Take an Rng as an argument.'),
        banned('Date.now', 'Take the time as an argument.'),
      ],
    },
  },
  { files: ['src/ml/**/*.ts'], rules: { 'max-params': 'off' } },
  // AssemblyScript knows no imports of types alone.
  { files: ['src/ml/kernels/*.ts'], rules: { '@typescript-eslint/consistent-type-imports': 'off' } },
  {
    // A migration is one text of SQL; tests and benchmarks are told from top to bottom.
    files: ['test/**/*.ts', '.ci/**', 'bench/**', 'migrations/**'],
    rules: { 'max-lines-per-function': 'off', 'no-restricted-exports': 'off', 'no-console': 'off' },
  },
  { files: ['src/launch/**', 'src/cli/**', 'examples/**'], rules: { 'no-console': 'off' } },
);
