import { Field, InputType, ObjectType } from 'type-graphql';
import { DateTime, Long, resultOf } from '../../platform/graphql.js';

@ObjectType({
  description: 'The size and root of the transparency log, signed by the platform (C2SP tlog-checkpoint).',
})
export class LogCheckpoint {
  @Field(() => String, { description: 'The name of the log. It changes when a backup is restored.' })
  origin: string;

  @Field(() => Long, { description: 'How many entries the tree has.' })
  treeSize: number;

  @Field(() => String, { description: 'The root of the tree (RFC 6962), in base64.' })
  rootHash: string;

  @Field(() => DateTime, { description: 'When it was signed.' })
  signedAt: Date;

  @Field(() => String, {
    description:
      'The signed note, as `/log/checkpoint` answers it: with the signature of the log, and those of witnesses for this size.',
  })
  note: string;
}

@ObjectType({ description: 'That an entry is in the tree of a checkpoint (RFC 6962 section 2.1.1).' })
export class LogInclusionProof {
  @Field(() => Long, { description: 'The index of the entry.' })
  index: number;

  @Field(() => Long, { description: 'The size of the tree.' })
  treeSize: number;

  @Field(() => String, { description: 'The public entry, 32 bytes in base64.' })
  entry: string;

  @Field(() => String, { description: 'SHA-256 of a zero byte and the public entry, in base64.' })
  leafHash: string;

  @Field(() => String, { description: 'The root of the tree, in base64.' })
  rootHash: string;

  @Field(() => [String], { description: 'The hashes that lead from the leaf to the root, lowest first, in base64.' })
  path: string[];
}

@ObjectType({ description: 'That a tree continues an earlier one (RFC 6962 section 2.1.2).' })
export class LogConsistencyProof {
  @Field(() => Long, { description: 'The size of the earlier tree.' })
  from: number;

  @Field(() => Long, { description: 'The size of the later tree.' })
  to: number;

  @Field(() => String, { description: 'The root of the earlier tree, in base64.' })
  fromRootHash: string;

  @Field(() => String, { description: 'The root of the later tree, in base64.' })
  toRootHash: string;

  @Field(() => [String], { description: 'The hashes that both roots follow from, in base64.' })
  path: string[];
}

@ObjectType({
  description: 'A witness: whoever follows the log and co-signs its checkpoints. Its name and key are public.',
})
export class LogWitness {
  @Field(() => String, { description: 'The name of its key, by convention an address without scheme.' })
  name: string;

  @Field(() => String, {
    description: 'Its key, as C2SP signed-note has it: name, id, and base64 of 0x04 and the key.',
  })
  verifierKey: string;

  @Field(() => DateTime, { description: 'When it was registered.' })
  createdAt: Date;
}

@InputType({ description: 'A witness to register.' })
export class RegisterWitnessInput {
  @Field(() => String, {
    description:
      'Its Ed25519 key for cosignature/v1: name, plus, key id, plus, base64 of 0x04 and the 32 bytes of the key.',
  })
  verifierKey: string;
}

@ObjectType({ description: 'What was registered.' })
export class RegisterWitnessPayload {
  @Field(() => LogWitness, { description: 'The witness.' })
  witness: LogWitness;
}

export const RegisterWitnessResult = resultOf(RegisterWitnessPayload);

@InputType({ description: 'A witness to remove. What it co-signed stays.' })
export class RemoveWitnessInput {
  @Field(() => String, { description: 'Its name.' })
  name: string;
}

@ObjectType({ description: 'What was removed.' })
export class RemoveWitnessPayload {
  @Field(() => LogWitness, { description: 'The witness.' })
  witness: LogWitness;
}

export const RemoveWitnessResult = resultOf(RemoveWitnessPayload);

@InputType({ description: 'What a witness co-signed.' })
export class WitnessCheckpointInput {
  @Field(() => Long, { description: 'The size of the checkpoint that it signed.' })
  treeSize: number;

  @Field(() => String, {
    description:
      'The signature line: em dash, space, name, space, base64 of key id, time and signature (C2SP tlog-cosignature).',
  })
  cosignature: string;
}

@ObjectType({ description: 'The checkpoint with its signatures.' })
export class WitnessCheckpointPayload {
  @Field(() => String, { description: 'The signed note with the signatures of all witnesses for this size.' })
  note: string;
}

export const WitnessCheckpointResult = resultOf(WitnessCheckpointPayload);
