import { Field, ID, ObjectType } from 'type-graphql';
import { connectionOf, Long, DateTime } from '../../platform/graphql.js';

@ObjectType({ description: 'One entry of the audit log: a decision, recorded in the same transaction that made it.' })
export class AuditEntry {
  @Field(() => Long, { description: 'Its place in the log of the whole platform, which has no gaps.' })
  logIndex: number;

  @Field(() => DateTime, { description: 'When it happened.' })
  at: Date;

  @Field(() => String, { description: 'What happened, such as `key.revoked`.' })
  kind: string;

  @Field(() => ID, { nullable: true, description: 'To what it happened, or null.' })
  subjectId: string | null;

  @Field(() => String, { description: 'The whole entry as canonical JSON (RFC 8785): the bytes that are hashed.' })
  content: string;

  @Field(() => String, {
    nullable: true,
    description:
      'Of a prediction, who asked what under which terms: canonical JSON, whose SHA-256 is `contextDigest` in the content.',
  })
  context: string | null;

  @Field(() => String, {
    description: 'The salt of the public entry, in hexadecimal. Empty for a prediction, whose id is its salt.',
  })
  saltHex: string;

  @Field(() => String, {
    description:
      'SHA-256 of a zero byte and the public entry (RFC 6962 leaf hash), where the public entry is SHA-256 of the salt and the content; in hexadecimal.',
  })
  leafHashHex: string;
}

export const AuditEntryConnection = connectionOf(AuditEntry);
