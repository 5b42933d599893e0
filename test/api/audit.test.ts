import { createHash } from 'node:crypto';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyAuditLog } from '../../src/cli/audit-verify.js';
import { TreeHasher } from '../../src/domain/audit/tree.js';
import { roleUrl } from '../../src/platform/db.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
});

const verify = () => verifyAuditLog(roleUrl(api.database.databaseUrl, api.database.masterKey, 'concordat_ledger'));

describe('the audit log', () => {
  it('shows a tenant its own entries, newest first, with what verifies them', async () => {
    await tenant.application();
    const { auditEntries } = await tenant.owner.query<{
      auditEntries: {
        nodes: { kind: string; logIndex: number; content: string; saltHex: string; leafHashHex: string }[];
      };
    }>('{ auditEntries(first: 50) { nodes { logIndex at kind subjectId content saltHex leafHashHex } } }');
    const { nodes } = auditEntries;
    expect(nodes.map((one) => one.kind)).toEqual([
      'key.created',
      'application.created',
      'session.opened',
      'member.joined',
      'tenant.created',
    ]);
    for (const { content, saltHex, leafHashHex } of nodes) {
      const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
      const entry = sha256(Buffer.from(saltHex, 'hex'), Buffer.from(content));
      expect(sha256(Buffer.of(0), entry).toString('hex')).toBe(leafHashHex);
    }
  });

  it('pages and filters', async () => {
    const ask = (args: string) =>
      tenant.owner.query<{
        auditEntries: { nodes: { kind: string }[]; pageInfo: { endCursor: string; hasNextPage: boolean } };
      }>(`{ auditEntries(${args}) { nodes { kind } pageInfo { endCursor hasNextPage } } }`);
    const first = await ask('first: 2');
    expect(first.auditEntries.pageInfo.hasNextPage).toBe(true);
    const next = await ask(`first: 50, after: "${first.auditEntries.pageInfo.endCursor}"`);
    expect(next.auditEntries.nodes.map((one) => one.kind)).toEqual([
      'session.opened',
      'member.joined',
      'tenant.created',
    ]);
    const filtered = await ask('kind: "key.created"');
    expect(filtered.auditEntries.nodes).toHaveLength(1);
  });

  it('is read by auditors and stewards, and by nobody else of the tenant', async () => {
    for (const role of ['AUDITOR', 'STEWARD', 'VIEWER', 'DATA_SCIENTIST'] as const) {
      const member = await tenant.member(role).catch(() => null);
      const { errors } = await member!.send('{ auditEntries { nodes { kind } } }');
      expect(errors[0]?.extensions.code).toBe(role === 'AUDITOR' || role === 'STEWARD' ? undefined : 'FORBIDDEN');
    }
  });

  it('records what operators and strangers do in the log of the platform', async () => {
    await api.client.refusal('signIn', { email: 'nobody@example.com', password: 'a wrong password' });
    const { auditEntries } = await api.operator.query<{ auditEntries: { nodes: { kind: string }[] } }>(
      '{ auditEntries { nodes { kind } } }',
    );
    expect(auditEntries.nodes.map((one) => one.kind)).toEqual([
      'session.refused',
      'session.opened',
      'operator.created',
    ]);
  });

  it('verifies, and names the first entry that was changed', async () => {
    const verdict = await verify();
    expect(verdict).toMatchObject({ sound: true, rootHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    const owner = new pg.Client(api.database.databaseUrl);
    await owner.connect();
    try {
      const tamper = async (sql: string) => {
        await owner.query('begin');
        await owner.query(sql);
        await owner.query('commit');
        return verify();
      };
      await owner.query('create table kept as select * from audit_entry');
      const restore = async () => {
        await owner.query('delete from audit_entry');
        await owner.query('insert into audit_entry select * from kept');
      };
      const set = (change: string) => `update audit_entry set ${change} where log_index = 3`;
      for (const change of [
        `content = replace(content, '"kind"', '"kinb"')`,
        `kind = 'key.revoked'`,
        `tenant_id = 'platform'`,
        `counterparty_tenant_id = 'platform'`,
        `agreement_id = 'x'`,
        `row_count = 1`,
        `refusal_code = 'x'`,
        `subject_id = 'x'`,
        `at = at + interval '1 second'`,
        `leaf_hash = sha256('x')`,
        `salt = decode('00000000000000000000000000000000', 'hex')`,
      ]) {
        expect(await tamper(set(change)), change).toMatchObject({ sound: false, index: 3 });
        await restore();
      }
      expect(await tamper('delete from audit_entry where log_index = 3')).toMatchObject({ sound: false, index: 3 });
      await restore();
      const last = (verdict as { size: number }).size - 1;
      expect(await tamper(`delete from audit_entry where log_index = ${last}`)).toMatchObject({
        sound: false,
        index: last,
      });
      await restore();
      expect(await verify()).toEqual(verdict);
    } finally {
      await owner.end();
    }
  });

  it('hashes trees as RFC 6962 does', () => {
    // The test vectors of the certificate transparency project's Merkle tree.
    const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
    const roots = [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ];
    const tree = new TreeHasher();
    for (const [i, leaf] of leaves.entries()) {
      tree.append(createHash('sha256').update(Buffer.of(0)).update(Buffer.from(leaf, 'hex')).digest());
      expect(tree.root().toString('hex')).toBe(roots[i]);
    }
  });
});
