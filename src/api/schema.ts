import {
  defaultFieldResolver,
  getNamedType,
  type GraphQLInterfaceType,
  type GraphQLSchema,
  isUnionType,
  lexicographicSortSchema,
  printSchema,
} from 'graphql';
import { buildSchemaSync, type NonEmptyArray } from 'type-graphql';
import type { App } from '../app.js';
import { AgreementResolver, AgreementVersionResolver } from '../domain/agreements/agreement.resolver.js';
import { AgreementTrainingResolver, DataUseResolver } from '../domain/agreements/data-use.resolver.js';
import { LicenceResolver } from '../domain/agreements/licence.resolver.js';
import { ListingResolver } from '../domain/agreements/listing.resolver.js';
import { OfferRequestResolver } from '../domain/agreements/offer-request.resolver.js';
import { SigningKeyResolver } from '../domain/agreements/signing-key.resolver.js';
import { AgreementDeviceResolver } from '../domain/agreements/agreement-device.resolver.js';
import { AuditResolver } from '../domain/audit/audit.resolver.js';
import { LogResolver } from '../domain/audit/log.resolver.js';
import { DatasetResolver, DatasetVersionResolver, UploadResolver } from '../domain/datasets/dataset.resolver.js';
import { SplitResolver, VersionSplitResolver } from '../domain/datasets/split.resolver.js';
import { ImportResolver } from '../domain/models/import.resolver.js';
import { EvaluationResolver, VersionEvaluationResolver } from '../domain/models/evaluation.resolver.js';
import { ModelResolver, ModelVersionResolver } from '../domain/models/model.resolver.js';
import { StatementResolver, StatementVersionResolver } from '../domain/metering/statement.resolver.js';
import { UsageResolver } from '../domain/metering/usage.resolver.js';
import { AgreementEndpointResolver, EndpointResolver } from '../domain/serving/endpoint.resolver.js';
import { BatchPredictionResolver } from '../domain/serving/batch-prediction.resolver.js';
import { PredictResolver } from '../domain/serving/predict.resolver.js';
import { AccountResolver } from '../domain/tenants/account.resolver.js';
import { ApplicationResolver } from '../domain/tenants/application.resolver.js';
import { DeviceResolver } from '../domain/tenants/device.resolver.js';
import { TenantResolver } from '../domain/tenants/tenant.resolver.js';
import { TrainingResolver } from '../domain/training/training.resolver.js';
import { StudyResolver, TrialResolver } from '../domain/tuning/study.resolver.js';
import { memberOf, refusalOf } from '../platform/graphql.js';
import { kindOf } from '../platform/ids.js';
import { makeNodeKinds, NODE_TYPES, NodeResolver } from './node.resolver.js';
import { authChecker, refuseUnguarded } from './permission.js';

type ResolverClass = abstract new (...services: never[]) => object;

/** Every resolver with the services that it is made of: the only wiring between the schema and the app. */
const RESOLVERS: [ResolverClass, (app: App) => object][] = [
  [NodeResolver, (app) => new NodeResolver(makeNodeKinds(app))],
  [AuditResolver, (app) => new AuditResolver(app.audit)],
  [LogResolver, (app) => new LogResolver(app.transparency)],
  [AccountResolver, (app) => new AccountResolver(app.accounts, app.tenants)],
  [TenantResolver, (app) => new TenantResolver(app.tenants)],
  [ApplicationResolver, (app) => new ApplicationResolver(app.applications)],
  [DeviceResolver, (app) => new DeviceResolver(app.devices)],
  [UploadResolver, (app) => new UploadResolver(app.uploads)],
  [DatasetResolver, (app) => new DatasetResolver(app.datasets)],
  [DatasetVersionResolver, (app) => new DatasetVersionResolver(app.datasets)],
  [SplitResolver, (app) => new SplitResolver(app.splits, app.datasets)],
  [VersionSplitResolver, (app) => new VersionSplitResolver(app.splits)],
  [ModelResolver, (app) => new ModelResolver(app.models)],
  [ModelVersionResolver, (app) => new ModelVersionResolver(app.models)],
  [ImportResolver, (app) => new ImportResolver(app.imports, app.models)],
  [EvaluationResolver, (app) => new EvaluationResolver(app.evaluations, app.models)],
  [VersionEvaluationResolver, (app) => new VersionEvaluationResolver(app.evaluations)],
  [TrainingResolver, (app) => new TrainingResolver(app.trainings, app.models)],
  [StudyResolver, (app) => new StudyResolver(app.studies, app.models, app.trainings)],
  [TrialResolver, () => new TrialResolver()],
  [AgreementResolver, (app) => new AgreementResolver(app.agreements)],
  [AgreementVersionResolver, () => new AgreementVersionResolver()],
  [LicenceResolver, (app) => new LicenceResolver(app.licences)],
  [DataUseResolver, (app) => new DataUseResolver(app.dataUses, app.agreedTrainings)],
  [AgreementTrainingResolver, () => new AgreementTrainingResolver()],
  [ListingResolver, (app) => new ListingResolver(app.listings)],
  [OfferRequestResolver, (app) => new OfferRequestResolver(app.offerRequests)],
  [SigningKeyResolver, (app) => new SigningKeyResolver(app.signingKeys)],
  [AgreementDeviceResolver, (app) => new AgreementDeviceResolver(app.agreementDevices)],
  [StatementResolver, (app) => new StatementResolver(app.statements)],
  [StatementVersionResolver, () => new StatementVersionResolver()],
  [UsageResolver, (app) => new UsageResolver(app.usage)],
  [EndpointResolver, (app) => new EndpointResolver(app.endpoints)],
  [AgreementEndpointResolver, (app) => new AgreementEndpointResolver(app.endpoints)],
  [PredictResolver, (app) => new PredictResolver(app.predictions)],
  [BatchPredictionResolver, (app) => new BatchPredictionResolver(app.batches)],
];

/** The executable schema. Without an app it can be printed and validated against, not executed. */
export function makeSchema(app: App | null): GraphQLSchema {
  const instances = new Map(app ? RESOLVERS.map(([cls, make]) => [cls as unknown, make(app)]) : []);
  const schema = buildSchemaSync({
    resolvers: RESOLVERS.map(([cls]) => cls) as unknown as NonEmptyArray<ResolverClass>,
    authChecker,
    container: { get: (cls: unknown) => instances.get(cls) },
    validate: false,
    nullableByDefault: false,
    pubSub: {
      publish: () => {
        throw new Error('News come from the database: change the row.');
      },
      subscribe: (channel, payload) => app!.events.subscribe(channel, String(payload)),
    },
  });
  refuseUnguarded();
  answerRefusals(schema);
  const node = schema.getType('Node') as GraphQLInterfaceType;
  node.resolveType = (value: { id: string }) => NODE_TYPES.get(kindOf(value.id)!);
  return schema;
}

/** As it is committed in schema.graphql. */
export function printedSchema(): string {
  return printSchema(lexicographicSortSchema(makeSchema(null))) + '\n';
}

/** An expected refusal thrown by a mutation becomes a member of its result union. */
function answerRefusals(schema: GraphQLSchema): void {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const union = getNamedType(field.type);
    const resolveType = memberOf(union.name);
    if (!resolveType || !isUnionType(union)) throw new Error(`The mutation ${field.name} returns no result union.`);
    // type-graphql wraps it in a promise, which compiled documents cannot wait for.
    union.resolveType = resolveType;
    const resolve = field.resolve ?? defaultFieldResolver;
    field.resolve = async (...args) => {
      try {
        return await (resolve(...args) as Promise<unknown>);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal) return refusal;
        throw error;
      }
    };
  }
}
