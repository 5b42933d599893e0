import { readFileSync } from 'node:fs';
import {
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isObjectType,
  isSpecifiedScalarType,
  isUnionType,
} from 'graphql';
import { Authorized, Query, Resolver, buildSchemaSync } from 'type-graphql';
import { describe, expect, it } from 'vitest';
import { authChecker, refuseUnguarded } from '../../src/api/permission.js';
import { refuseUnexplained } from '../../src/api/routes.js';
import { makeSchema, printedSchema } from '../../src/api/schema.js';

const schema = makeSchema(null);
const types = Object.values(schema.getTypeMap()).filter(
  (type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type),
);

describe('the schema', () => {
  it('is the one in schema.graphql: run `npx tsx src/api/print-schema.ts`', () => {
    expect(readFileSync('schema.graphql', 'utf8')).toBe(printedSchema());
  });

  it('describes every type, field, argument and enum value', () => {
    const missing: string[] = [];
    const look = (name: string, described: { description?: string | null }) => {
      if (!described.description?.trim()) missing.push(name);
    };
    for (const type of types) {
      if (!['Query', 'Mutation', 'Subscription'].includes(type.name)) look(type.name, type);
      if (isEnumType(type)) for (const value of type.getValues()) look(`${type.name}.${value.name}`, value);
      if (isInputObjectType(type))
        for (const field of Object.values(type.getFields())) look(`${type.name}.${field.name}`, field);
      if (!isObjectType(type) && !isInterfaceType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        look(`${type.name}.${field.name}`, field);
        for (const arg of field.args) look(`${type.name}.${field.name}(${arg.name})`, arg);
      }
    }
    expect(missing).toEqual([]);
  });

  it('pages every list of things that have ids', () => {
    const unpaged: string[] = [];
    for (const type of types) {
      if (!isObjectType(type) || /(Connection|Edge)$/.test(type.name)) continue;
      for (const field of Object.values(type.getFields())) {
        const named = getNamedType(field.type);
        const isNode = isObjectType(named) && named.getInterfaces().some((one) => one.name === 'Node');
        if (isNode && isListType(getNullableType(field.type))) unpaged.push(`${type.name}.${field.name}`);
        if (named.name.endsWith('Connection'))
          expect(
            field.args.map((arg) => arg.name),
            `${type.name}.${field.name}`,
          ).toEqual(expect.arrayContaining(['first', 'after']));
      }
    }
    expect(unpaged).toEqual([]);
  });

  it('takes one input a mutation, and answers with a payload or a refusal', () => {
    for (const field of Object.values(schema.getMutationType()!.getFields())) {
      expect(
        field.args.map((arg) => arg.name).filter((name) => name !== 'input'),
        field.name,
      ).toEqual([]);
      const result = getNamedType(field.type);
      expect(result.name.toLowerCase()).toBe(`${field.name}result`.toLowerCase());
      expect(isUnionType(result) && result.getTypes().map((one) => one.name)).toContain('InputRefusal');
    }
  });
});

describe('a forgotten permission', () => {
  it('fails the build', () => {
    // type-graphql keeps what decorators say for the whole process: the class is made here and nowhere else.
    @Resolver()
    class Forgetful {
      @Query(() => String)
      forgotten(): string {
        return '';
      }
    }
    buildSchemaSync({ resolvers: [Forgetful], validate: false, authChecker });
    expect(refuseUnguarded).toThrow('forgotten names no permission');
    @Resolver()
    class Inventive {
      @Authorized('everything:do')
      @Query(() => String)
      invented(): string {
        return '';
      }
    }
    void Inventive;
    expect(refuseUnguarded).toThrow('names');
  });

  it('fails the start', () => {
    const route = {
      methods: ['GET'],
      path: /^\/x$/,
      access: 'public',
      cookies: false,
      timeoutMs: 1,
      answer: () => Promise.resolve(),
    } as const;
    expect(() => refuseUnexplained([route])).toThrow('is public');
  });
});
