import { Arg, Authorized, Mutation, Query, Resolver } from 'type-graphql';
import { CurrentScope, Long } from '../../platform/graphql.js';
import type { Scope } from '../../platform/scope.js';
import type { LogService } from './log.service.js';
import {
  LogCheckpoint,
  LogConsistencyProof,
  LogInclusionProof,
  LogWitness,
  RegisterWitnessInput,
  type RegisterWitnessPayload,
  RegisterWitnessResult,
  RemoveWitnessInput,
  type RemoveWitnessPayload,
  RemoveWitnessResult,
  WitnessCheckpointInput,
  type WitnessCheckpointPayload,
  WitnessCheckpointResult,
} from './log.types.js';

@Resolver()
export class LogResolver {
  constructor(private readonly log: LogService) {}

  @Authorized('public')
  @Query(() => LogCheckpoint, { description: 'The last signed checkpoint of the transparency log. For everybody.' })
  async logCheckpoint(): Promise<LogCheckpoint> {
    const found = await this.log.checkpoint();
    return { ...found, rootHash: base64(found.rootHash) };
  }

  @Authorized('public')
  @Query(() => LogInclusionProof, {
    nullable: true,
    description: 'That the entry of an index is in the log. For everybody: an entry is a salted hash.',
  })
  async logInclusionProof(
    @Arg('index', () => Long, { description: 'The index of the entry.' }) index: number,
    @Arg('treeSize', () => Long, {
      nullable: true,
      description: 'The size of the tree; the last checkpoint unless told.',
    })
    treeSize: number | null,
  ): Promise<LogInclusionProof> {
    const { entry, leafHash, rootHash, path, ...proof } = await this.log.inclusionProof(index, treeSize ?? null);
    return {
      ...proof,
      entry: base64(entry),
      leafHash: base64(leafHash),
      rootHash: base64(rootHash),
      path: path.map(base64),
    };
  }

  @Authorized('public')
  @Query(() => LogConsistencyProof, {
    nullable: true,
    description: 'That the log at one size continues the log at an earlier one. For everybody.',
  })
  async logConsistencyProof(
    @Arg('from', () => Long, { description: 'The earlier size, at least 1.' }) from: number,
    @Arg('to', () => Long, { nullable: true, description: 'The later size; the last checkpoint unless told.' })
    to: number | null,
  ): Promise<LogConsistencyProof> {
    const { fromRootHash, toRootHash, path, ...proof } = await this.log.consistencyProof(from, to ?? null);
    return { ...proof, fromRootHash: base64(fromRootHash), toRootHash: base64(toRootHash), path: path.map(base64) };
  }

  @Authorized('audit:read')
  @Query(() => [LogWitness], { description: 'The witnesses of the tenant, oldest first.' })
  logWitnesses(@CurrentScope() scope: Scope): Promise<LogWitness[]> {
    return this.log.witnesses(scope);
  }

  @Authorized('log:witness')
  @Mutation(() => RegisterWitnessResult, {
    description: 'Registers a witness, whose name and key become public once it has co-signed.',
  })
  async registerWitness(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RegisterWitnessInput, { description: 'The witness.' }) input: RegisterWitnessInput,
  ): Promise<RegisterWitnessPayload> {
    return { witness: await this.log.registerWitness(scope, input.verifierKey) };
  }

  @Authorized('log:witness')
  @Mutation(() => RemoveWitnessResult, { description: 'Takes no more signatures of a witness.' })
  async removeWitness(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RemoveWitnessInput, { description: 'The witness.' }) input: RemoveWitnessInput,
  ): Promise<RemoveWitnessPayload> {
    return { witness: await this.log.removeWitness(scope, input.name) };
  }

  @Authorized('log:witness')
  @Mutation(() => WitnessCheckpointResult, {
    description: 'Hands in what a witness of the tenant co-signed, to be shown with the checkpoint.',
  })
  async witnessCheckpoint(
    @CurrentScope() scope: Scope,
    @Arg('input', () => WitnessCheckpointInput, { description: 'The signature.' }) input: WitnessCheckpointInput,
  ): Promise<WitnessCheckpointPayload> {
    return { note: await this.log.cosign(scope, input) };
  }
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64');
}
