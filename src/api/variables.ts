import {
  coerceInputValue,
  GraphQLError,
  type GraphQLSchema,
  isInputType,
  type OperationDefinitionNode,
  type TypeNode,
  typeFromAST,
} from 'graphql';

const LONGEST_MESSAGE = 300;

/**
 * Throws at the first variable that does not fit, before graphql-js looks at them: it would write the value out, once for each of fifty
 * errors. Then 8 MB of wrong names, from anybody, hold the process for half a minute and come back as 400 MB; and the message
 * quotes what was sent, passwords and rows. Here it names the place, not the value.
 */
export function refuseVariables(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  values: Readonly<Record<string, unknown>>,
): void {
  for (const { variable, type: node } of operation.variableDefinitions ?? []) {
    const name = variable.name.value;
    const type = typeFromAST(schema, node as Exclude<TypeNode, { kind: 'NonNullType' }>);
    // What is missing or null in itself is reported briefly by the execution.
    if (!isInputType(type) || !Object.hasOwn(values, name) || values[name] == null) continue;
    coerceInputValue(values[name], type, (path, _, error) => {
      const place = [name, ...path].join('.');
      // Scalars quote the value behind a colon.
      const [why] = error.message.split(': ', 1);
      const message = `Variable "$${place}" got an invalid value. ${why}`.slice(0, LONGEST_MESSAGE);
      throw new GraphQLError(message, {
        nodes: variable,
        extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } },
      });
    });
  }
}
