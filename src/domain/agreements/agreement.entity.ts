import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { AgreementState, Party } from './step.js';
import { readTerms, type Terms } from './terms.js';

/** Both parties see it. Parties, endpoint, terms and document are never changed. */
@Entity('agreement')
export class AgreementRow {
  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'provider_tenant_id' })
  providerTenantId: string;

  @Column('text', { name: 'consumer_tenant_id' })
  consumerTenantId: string;

  @Column('text', { name: 'endpoint_id' })
  endpointId: string;

  @Column('int')
  version: number;

  @Column('jsonb', { transformer: { from: readTerms, to: (terms: Terms) => terms } })
  terms: Terms;

  /** Canonical JSON (RFC 8785): the bytes that are signed. */
  @Column('text')
  document: string;

  @Column('bytea', { name: 'document_digest' })
  documentDigest: Buffer;

  @Column('timestamptz', { name: 'valid_from' })
  validFrom: Date;

  @Column('timestamptz', { name: 'valid_until' })
  validUntil: Date;

  @Column('text')
  state: AgreementState;

  @Column('boolean', { name: 'suspended_by_provider' })
  suspendedByProvider: boolean;

  @Column('boolean', { name: 'suspended_by_consumer' })
  suspendedByConsumer: boolean;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'changed_at' })
  changedAt: Date;
}

/** Never changed, never removed. */
@Entity('agreement_signature')
export class AgreementSignatureRow {
  @PrimaryColumn('text', { name: 'agreement_id' })
  agreementId: string;

  @PrimaryColumn('int')
  version: number;

  @PrimaryColumn('text')
  party: Party;

  @Column('text')
  algorithm: 'Ed25519';

  @Column('text')
  custody: 'CUSTODIAL';

  @Column('bytea', { name: 'public_key' })
  publicKey: Buffer;

  @Column('bytea')
  signature: Buffer;

  @Column('text', { name: 'signed_by' })
  signedBy: string;

  @Column('timestamptz', { name: 'signed_at' })
  signedAt: Date;
}

/** The key with which the platform signs for a tenant. */
@Entity('tenant_signing_key')
export class TenantSigningKeyRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('bytea', { name: 'public_key' })
  publicKey: Buffer;

  @Column('bytea', { name: 'sealed_private_key' })
  sealedPrivateKey: Buffer;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
