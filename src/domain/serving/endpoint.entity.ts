import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Signature } from '../../ml/infer.js';

/** What an endpoint tells everybody who may use it; the model's threshold and target stay with the model. */
export type PublishedSignature = Pick<Signature, 'task' | 'classes' | 'inputs'>;

@Entity('endpoint')
export class EndpointRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('text')
  name: string;

  @Column('text')
  state: 'READY' | 'DELETED';

  @Column('text', { name: 'model_version_id' })
  modelVersionId: string;

  @Column('jsonb')
  signature: PublishedSignature;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'routed_at' })
  routedAt: Date;
}
