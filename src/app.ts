import type { Config } from './config.js';
import {
  AgreementRow,
  AgreementSettlementRow,
  AgreementSignatureRow,
  AgreementVersionRow,
  TenantSigningKeyRow,
} from './domain/agreements/agreement.entity.js';
import { AgreementDeviceService } from './domain/agreements/agreement-device.service.js';
import { AgreementService } from './domain/agreements/agreement.service.js';
import { AgreedTrainingService, DataUseService } from './domain/agreements/data-use.service.js';
import { LicenceService } from './domain/agreements/licence.service.js';
import { Licensing } from './domain/agreements/licensing.js';
import { ListingService } from './domain/agreements/listing.service.js';
import { OfferRequestService } from './domain/agreements/offer-request.service.js';
import { SigningKeyService } from './domain/agreements/signing-key.service.js';
import { AuditEntryRow } from './domain/audit/audit.entity.js';
import { AuditService } from './domain/audit/audit.service.js';
import { Integrator } from './domain/audit/integrator.js';
import { RecentEntries } from './domain/audit/recent-entries.js';
import { LogKeys } from './domain/audit/log-key.service.js';
import { LogService } from './domain/audit/log.service.js';
import { DatasetRow, UploadRow } from './domain/datasets/dataset.entity.js';
import { DatasetService } from './domain/datasets/dataset.service.js';
import { SplitService } from './domain/datasets/split.service.js';
import { UploadService } from './domain/datasets/upload.service.js';
import { LedgerService, Salts } from './domain/metering/ledger.service.js';
import { ReservationService } from './domain/metering/reservation.service.js';
import { settledStatements, StatementService } from './domain/metering/statement.service.js';
import { UsageService } from './domain/metering/usage.service.js';
import { EvaluationRow } from './domain/models/evaluation.entity.js';
import { EvaluationService } from './domain/models/evaluation.service.js';
import { ModelAliasRow, ModelRow, ModelVersionRow } from './domain/models/model.entity.js';
import { ModelImportRow } from './domain/models/import.entity.js';
import { ImportService } from './domain/models/import.service.js';
import { ModelService } from './domain/models/model.service.js';
import { BatchDecisions } from './domain/serving/batch-decision.js';
import { BatchChunkRow, BatchPredictionRow } from './domain/serving/batch-prediction.entity.js';
import { type BatchPredictionParts, BatchPredictionService } from './domain/serving/batch-prediction.service.js';
import { type BatchRunParts, BatchRunService } from './domain/serving/batch-run.service.js';
import { EndpointRow } from './domain/serving/endpoint.entity.js';
import { EndpointNames } from './domain/serving/endpoint-name.js';
import { EndpointService, offeredEndpoints } from './domain/serving/endpoint.service.js';
import { Explainers } from './domain/serving/explainers.js';
import { NoiseSource } from './domain/serving/noise-stream.js';
import { Policies } from './domain/serving/policy.js';
import { PredictService, type PredictServiceParts } from './domain/serving/predict.service.js';
import { AccountService } from './domain/tenants/account.service.js';
import { ApplicationService } from './domain/tenants/application.service.js';
import { DeviceRow } from './domain/tenants/device.entity.js';
import { DeviceService } from './domain/tenants/device.service.js';
import { ProofService } from './domain/tenants/proof.service.js';
import { CredentialService } from './domain/tenants/credential.service.js';
import {
  AccountRow,
  ApiKeyRow,
  ApplicationRow,
  InvitationRow,
  MembershipRow,
  SessionRow,
  TenantRow,
} from './domain/tenants/tenant.entity.js';
import { TenantService } from './domain/tenants/tenant.service.js';
import { Batcher, SessionPool } from './ml/infer.js';
import { BlobStore } from './platform/blobs.js';
import { TrainingRow } from './domain/training/training.entity.js';
import { TrainingService } from './domain/training/training.service.js';
import { StudyRow, TrialRow } from './domain/tuning/study.entity.js';
import { StudyService } from './domain/tuning/study.service.js';
import { type Clock, systemClock } from './platform/clock.js';
import { type Db, openDb } from './platform/db.js';
import { type Events, makeEvents } from './platform/events.js';
import { KeyRing } from './platform/keys.js';
import { type Listener, openListener } from './platform/listen.js';
import { type Logger, makeLog } from './platform/log.js';

/** Every row class. A domain adds its own here. */
export const ENTITIES = [
  AuditEntryRow,
  TenantRow,
  AccountRow,
  MembershipRow,
  SessionRow,
  InvitationRow,
  ApplicationRow,
  ApiKeyRow,
  DeviceRow,
  UploadRow,
  DatasetRow,
  AgreementRow,
  AgreementVersionRow,
  AgreementSignatureRow,
  AgreementSettlementRow,
  TenantSigningKeyRow,
  EndpointRow,
  ModelRow,
  ModelVersionRow,
  ModelAliasRow,
  EvaluationRow,
  BatchPredictionRow,
  BatchChunkRow,
  TrainingRow,
  ModelImportRow,
  StudyRow,
  TrialRow,
];

/** Everything that both processes stand on; made once per process, no GraphQL in it. */
export interface App {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly db: Db;
  readonly listener: Listener;
  readonly events: Events;
  readonly audit: AuditService;
  readonly logKeys: LogKeys;
  readonly transparency: LogService;
  /** Made in every process, started in those of the API. */
  readonly integrator: Integrator;
  readonly accounts: AccountService;
  readonly credentials: CredentialService;
  readonly tenants: TenantService;
  readonly applications: ApplicationService;
  readonly devices: DeviceService;
  readonly proofs: ProofService;
  readonly blobs: BlobStore;
  readonly uploads: UploadService;
  readonly datasets: DatasetService;
  readonly splits: SplitService;
  readonly models: ModelService;
  readonly trainings: TrainingService;
  readonly imports: ImportService;
  readonly studies: StudyService;
  readonly evaluations: EvaluationService;
  readonly signingKeys: SigningKeyService;
  readonly licences: LicenceService;
  readonly dataUses: DataUseService;
  readonly agreedTrainings: AgreedTrainingService;
  readonly listings: ListingService;
  readonly offerRequests: OfferRequestService;
  readonly agreements: AgreementService;
  readonly agreementDevices: AgreementDeviceService;
  readonly usage: UsageService;
  readonly statements: StatementService;
  readonly endpoints: EndpointService;
  readonly predictions: PredictService;
  readonly batches: BatchPredictionService;
  /** The worker's side of batches. */
  readonly batchRuns: BatchRunService;
  close(): Promise<void>;
}

/** The models that a process holds in memory to serve, at most; the least recently used go first. */
const MODEL_MEMORY_BYTES = 2 ** 30;
/** What explains them. */
const EXPLAINER_MEMORY_BYTES = 2 ** 28;

type ServingParts = Omit<PredictServiceParts, 'region' | 'salts' | 'batcher' | 'explainers' | 'noise'> &
  Omit<BatchPredictionParts & BatchRunParts, 'decisions' | 'reservations' | 'salts' | 'noise'>;

function makeServing({ masterKey, region }: Config, given: ServingParts & { pool: Db['ledger']; signer: LogKeys }) {
  const parts = { ...given, region, salts: new Salts(masterKey), noise: new NoiseSource(masterKey) };
  const explainers = new Explainers(parts.models, EXPLAINER_MEMORY_BYTES);
  const batchParts = { ...parts, decisions: new BatchDecisions(parts), reservations: new ReservationService(parts) };
  return {
    predictions: new PredictService({ ...parts, batcher: new Batcher(), explainers }),
    batches: new BatchPredictionService(batchParts),
    batchRuns: new BatchRunService(batchParts),
  };
}

/** Closes what is open already, and throws on. */
const closing =
  (...opened: { close(): Promise<void> }[]) =>
  async (error: unknown): Promise<never> => {
    for (const one of opened) await one.close();
    throw error;
  };

/** The composition root: configuration -> database, services. `name` is the process's name in the log. */
export async function openApp(config: Config, name: string, clock: Clock = systemClock): Promise<App> {
  const log = makeLog(config.logLevel, name);
  const db = await openDb({ databaseUrl: config.databaseUrl, masterKey: config.masterKey, entities: ENTITIES });
  const listener = openListener(db.listenUrl);
  const { masterKey, home, publicUrl, port } = config;
  const keyParts = { pool: db.ledger, masterKey, home, publicUrl, port, clock, log, listener };
  const logKeys = await LogKeys.open(keyParts).catch(closing(listener, db));
  const blobs = new BlobStore(config.home, new KeyRing(config.masterKey));
  const datasets = new DatasetService(db, clock, blobs);
  const splits = new SplitService(db, clock, blobs, datasets);
  const models = new ModelService(db, clock, blobs);
  const dataUses = new DataUseService({ db, clock, datasets, region: config.region });
  const trainings = new TrainingService({ db, clock, models, splits, uses: dataUses });
  const credentials = new CredentialService(db, clock, listener);
  const accounts = new AccountService(db, clock, credentials);
  const signingKeys = new SigningKeyService({ db, clock, keys: blobs.keys, accounts });
  const licensing = new Licensing({ endpoints: offeredEndpoints, datasets, splits });
  const agreements = new AgreementService({ db, clock, keys: signingKeys, licensing, statements: settledStatements });
  const devices = new DeviceService(db, clock);
  const policies = new Policies(db.gate, listener);
  const names = new EndpointNames(db.gate, listener);
  const recent = new RecentEntries();
  const ledger = new LedgerService({ pool: db.ledger, signer: logKeys, recent, log });
  const sessions = new SessionPool(MODEL_MEMORY_BYTES);
  const agreementDevices = new AgreementDeviceService(db, clock, devices);
  const serving = { db, clock, log, listener, policies, models, ledger, sessions, blobs, datasets };
  return {
    config,
    clock,
    log,
    db,
    listener,
    events: makeEvents(listener),
    audit: new AuditService(db),
    logKeys,
    accounts,
    transparency: new LogService({ db, clock, keys: logKeys }),
    integrator: new Integrator(db.ledgerUrl, { keys: logKeys, recent, clock, log }),
    credentials,
    tenants: new TenantService(db, clock, credentials),
    applications: new ApplicationService(db, clock, credentials),
    devices,
    proofs: new ProofService({ gate: db.gate, clock, listener, masterKey, needsNonce: config.dpopNonce, ledger }),
    blobs,
    uploads: new UploadService(db, clock, blobs, config),
    datasets,
    splits,
    models,
    imports: new ImportService({ db, clock, blobs, models, splits }),
    trainings,
    studies: new StudyService(db, clock, splits, trainings),
    evaluations: new EvaluationService({
      db,
      clock,
      models,
      splits,
      specOf: (tx, version) => trainings.specOf(tx, version),
    }),
    signingKeys,
    licences: new LicenceService({ db, clock, datasets }),
    dataUses,
    agreedTrainings: new AgreedTrainingService({ db, clock, trainings }),
    listings: new ListingService({ db, clock, licensing }),
    offerRequests: new OfferRequestService({ db, clock, agreements }),
    agreements,
    agreementDevices,
    usage: new UsageService({ db, clock, agreements }),
    statements: new StatementService({ db, clock, agreements }),
    endpoints: new EndpointService({ db, clock, models, agreements, policies, names }),
    ...makeServing(config, { ...serving, devices: agreementDevices, pool: db.ledger, signer: logKeys }),
    close: async () => {
      // What is under way is recorded and answered first.
      await ledger.close();
      logKeys.close();
      sessions.close();
      await listener.close();
      await db.close();
    },
  };
}
