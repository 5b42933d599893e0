import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Party, StoredState } from './step.js';
import { type AgreedTerms, readTerms } from './terms.js';

/** CUSTODIAL: the platform keeps the private half. OWN: the tenant does. */
export type Custody = 'CUSTODIAL' | 'OWN';

/**
 * Both parties see it. Parties and what it is about are never changed; terms and document are those of the version in force, before that
 * of the offer.
 */
@Entity('agreement')
export class AgreementRow {
  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'provider_tenant_id' })
  providerTenantId: string;

  @Column('text', { name: 'consumer_tenant_id' })
  consumerTenantId: string;

  /** What it is about: this, or a dataset version. */
  @Column('text', { name: 'endpoint_id', nullable: true })
  endpointId: string | null;

  @Column('text', { name: 'dataset_version_id', nullable: true })
  datasetVersionId: string | null;

  @Column('int')
  version: number;

  @Column('jsonb', { transformer: { from: readTerms, to: (terms: AgreedTerms) => terms } })
  terms: AgreedTerms;

  /** Canonical JSON (RFC 8785): the bytes that are signed. */
  @Column('text')
  document: string;

  @Column('bytea', { name: 'document_digest' })
  documentDigest: Buffer;

  @Column('timestamptz', { name: 'valid_from' })
  validFrom: Date;

  /** The first moment out of force as things stand: renewed and with notice, it is not the end of the terms' period. */
  @Column('timestamptz', { name: 'valid_until' })
  validUntil: Date;

  @Column('text')
  state: StoredState;

  @Column('boolean', { name: 'suspended_by_provider' })
  suspendedByProvider: boolean;

  @Column('boolean', { name: 'suspended_by_consumer' })
  suspendedByConsumer: boolean;

  /** When both had signed the first version. */
  @Column('timestamptz', { name: 'activated_at', nullable: true })
  activatedAt: Date | null;

  /** Who broke it, where the platform has suspended it. */
  @Column('text', { name: 'breach_by', nullable: true })
  breachBy: Party | null;

  @Column('text', { name: 'breach_reason', nullable: true })
  breachReason: string | null;

  @Column('text', { name: 'notice_by', nullable: true })
  noticeBy: Party | null;

  @Column('timestamptz', { name: 'notice_until', nullable: true })
  noticeUntil: Date | null;

  @Column('boolean', { name: 'renewal_stopped' })
  renewalStopped: boolean;

  @Column('int')
  renewals: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'changed_at' })
  changedAt: Date;
}

/** A proposal of terms and what became of it. What was proposed never changes. */
@Entity('agreement_version')
export class AgreementVersionRow {
  @PrimaryColumn('text', { name: 'agreement_id' })
  agreementId: string;

  @PrimaryColumn('int')
  version: number;

  @Column('text', { name: 'proposed_by' })
  proposedBy: Party;

  @Column('text')
  state: 'PROPOSED' | 'AGREED' | 'DROPPED';

  @Column('jsonb', { transformer: { from: readTerms, to: (terms: AgreedTerms) => terms } })
  terms: AgreedTerms;

  @Column('text')
  document: string;

  @Column('bytea', { name: 'document_digest' })
  documentDigest: Buffer;

  @Column('timestamptz', { name: 'proposed_at' })
  proposedAt: Date;

  @Column('timestamptz', { name: 'agreed_at', nullable: true })
  agreedAt: Date | null;
}

/** Never changed, never removed. */
@Entity('agreement_settlement')
export class AgreementSettlementRow {
  @PrimaryColumn('text', { name: 'agreement_id' })
  agreementId: string;

  @Column('text')
  document: string;

  @Column('bytea', { name: 'document_digest' })
  documentDigest: Buffer;

  @Column('timestamptz', { name: 'settled_at' })
  settledAt: Date;
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
  custody: Custody;

  @Column('bytea', { name: 'public_key' })
  publicKey: Buffer;

  @Column('bytea')
  signature: Buffer;

  /** Null for signatures of old. */
  @Column('text', { name: 'signing_key_id', nullable: true })
  signingKeyId: string | null;

  @Column('text', { name: 'signed_by' })
  signedBy: string;

  @Column('timestamptz', { name: 'signed_at' })
  signedAt: Date;
}

/** A key that signs for a tenant: its own, or one that the platform keeps for it. */
@Entity('tenant_signing_key')
export class TenantSigningKeyRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('bytea', { name: 'public_key' })
  publicKey: Buffer;

  @Column('text')
  custody: Custody;

  @Column('text')
  name: string;

  /** Only of a key that the platform keeps. */
  @Column('bytea', { name: 'sealed_private_key', nullable: true })
  sealedPrivateKey: Buffer | null;

  /** What the holder of its own key signs to show that it has it. */
  @Column('text', { nullable: true })
  challenge: string | null;

  @Column('timestamptz', { name: 'confirmed_at', nullable: true })
  confirmedAt: Date | null;

  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt: Date | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
