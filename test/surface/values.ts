/**
 * Values from a JSON schema: mostly right, and now and then wrong in one place, so that what lies behind the
 * validation is reached as well as the validation itself.
 */
import fc from 'fast-check';
import { nastyTexts } from './corpora.ts';

export interface JsonSchema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: boolean | JsonSchema;
  propertyNames?: JsonSchema;
  items?: JsonSchema;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  default?: unknown;
}

type Arbitrary = fc.Arbitrary<unknown>;

/** Fits nowhere in particular. */
export const junk: Arbitrary = fc.oneof(
  fc.constantFrom(...nastyTexts),
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, [], {}, [null], [[]], { a: 1 }, '', [{}]),
  fc.constantFrom(2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 5e-324, -0, 4_294_967_296, 1e21),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.dictionary(fc.constantFrom('__proto__', 'constructor', 'then', 'x', '0', ''), fc.constant(1), {
    maxKeys: 3,
  }),
);

/** A value of the schema; each of its parts is spoilt with a probability of 1 in `oddsOfJunk`, never with 0. */
export function sample(schema: JsonSchema, oddsOfJunk: number): Arbitrary {
  const good = goodValue(schema, oddsOfJunk);
  return oddsOfJunk === 0
    ? good
    : fc.oneof({ arbitrary: good, weight: oddsOfJunk }, { arbitrary: junk, weight: 1 });
}

function goodValue(schema: JsonSchema, odds: number): Arbitrary {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map(choice => goodValue(choice, odds)));
  if (schema.allOf) return goodValue(Object.assign({}, ...schema.allOf), odds);
  const types = [schema.type ?? (schema.properties ? 'object' : 'any')].flat();
  return fc.oneof(...types.map(type => ofType(type, schema, odds)));
}

function ofType(type: string, schema: JsonSchema, odds: number): Arbitrary {
  switch (type) {
    case 'string':
      return text(schema);
    case 'integer':
    case 'number':
      return number(schema, type === 'integer');
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(sample(schema.items ?? {}, odds), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 4, (schema.minItems ?? 0) + 4),
      });
    case 'object':
      return object(schema, odds);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function object(schema: JsonSchema, odds: number): Arbitrary {
  const properties = Object.entries(schema.properties ?? {});
  const required = new Set(schema.required ?? []);
  const fields = properties.map(([name, field]) => {
    const present = required.has(name) ? (odds === 0 ? 1 : 0.97) : 0.5;
    const value = sample(field, odds);
    return fc
      .tuple(fc.double({ min: 0, max: 1, noNaN: true }), value)
      .map(([chance, made]) => (chance < present ? ([name, made] as const) : null));
  });
  const unknown =
    odds === 0 || schema.additionalProperties !== false ? fc.constant(null) : unknownField(odds);
  const free =
    typeof schema.additionalProperties === 'object'
      ? fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), sample(schema.additionalProperties, odds), {
          maxKeys: 3,
        })
      : fc.constant({});
  return fc
    .tuple(fc.tuple(...fields), unknown, free)
    .map(([made, more, rest]) =>
      Object.fromEntries([...made, more, ...Object.entries(rest)].filter(field => field !== null)),
    );
}

const unknownField = (odds: number) =>
  fc.oneof(
    { arbitrary: fc.constant(null), weight: odds },
    {
      arbitrary: fc.tuple(
        fc.constantFrom('unknown', '__proto__', 'constructor', 'organization_id', 'role', 'id', 'scopes', ''),
        junk,
      ),
      weight: 1,
    },
  );

function text(schema: JsonSchema): Arbitrary {
  const minLength = schema.minLength ?? 0;
  const maxLength = Math.min(schema.maxLength ?? 60, minLength + 60);
  if (schema.format === 'email') return fc.emailAddress();
  if (schema.format === 'uri') return fc.webUrl();
  if (schema.format === 'date-time') return fc.date({ noInvalidDate: true }).map(date => date.toISOString());
  if (schema.pattern) {
    try {
      return fc.stringMatching(new RegExp(schema.pattern));
    } catch {
      // An expression that the generator does not know: any text then.
    }
  }
  const plain = fc.string({ minLength: Math.max(1, minLength), maxLength: Math.max(1, maxLength) });
  const limits = [schema.minLength, schema.maxLength].filter(n => n !== undefined && n < 100_000) as number[];
  const atLimits = limits.flatMap(n => [n - 1, n, n + 1]).filter(n => n >= 0);
  return atLimits.length === 0
    ? plain
    : fc.oneof(
        { arbitrary: plain, weight: 5 },
        { arbitrary: fc.constantFrom(...atLimits).map(n => 'x'.repeat(n)), weight: 1 },
      );
}

function number(schema: JsonSchema, whole: boolean): Arbitrary {
  const min = schema.minimum ?? schema.exclusiveMinimum ?? -1_000;
  const max = schema.maximum ?? schema.exclusiveMaximum ?? min + 1_000_000;
  const between = whole
    ? fc.integer({ min: Math.max(Math.ceil(min), -(2 ** 31)), max: Math.min(Math.floor(max), 2 ** 31 - 1) })
    : fc.double({ min, max, noNaN: true });
  const edges = fc.constantFrom(min, max, min - 1, max + 1, min + 0.5, 0, -0);
  return fc.oneof({ arbitrary: between, weight: 5 }, { arbitrary: edges, weight: 1 });
}
