import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The ledger: what is metered, and the one function that admits, counts and records a batch of requests in one transaction. */
export class Ledger0000000000006 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(USAGE);
    await run.query(METER);
    await run.query(FLUSH);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

/** A prediction's usage and its audit leaf are one row, so that neither can be there without the other. */
const USAGE = `
  alter table audit_entry
    add column agreement_id text,
    add column endpoint_id text,
    add column model_version_id text,
    -- Rows asked for. Answered, and charged, if refusal_code is null.
    add column row_count int check (row_count >= 0),
    add column refusal_code text;
  create index audit_entry_by_agreement on audit_entry (agreement_id, at) where agreement_id is not null;
`;

const METER = `
  -- The limits that the ledger holds an agreement to, compiled by the trigger below from the signed terms, and the counters. Narrow,
  -- because it is rewritten with every flush; apart from the agreement, so that the ledger's lock is on what it writes anyway.
  create table agreement_meter (
    agreement_id text primary key references agreement (id),
    provider_tenant_id text not null,
    consumer_tenant_id text not null,
    endpoint_id text not null,
    state text not null,
    valid_from timestamptz not null,
    valid_until timestamptz not null,
    -- Null: the terms set no such limit.
    rows_per_day bigint check (rows_per_day > 0),
    rows_in_total bigint check (rows_in_total > 0),
    -- The UTC day that rows_today counts.
    day date not null default '-infinity',
    rows_today bigint not null default 0,
    rows_total bigint not null default 0,
    check (rows_today <= rows_per_day),
    check (rows_total <= rows_in_total)
  ) with (fillfactor = 50);
  alter table agreement_meter enable row level security;
  alter table agreement_meter force row level security;
  create policy parties on agreement_meter for select to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  create policy ledger on agreement_meter to concordat_ledger using (true) with check (true);
  grant select on agreement_meter to concordat_app;
  grant select, insert, update on agreement_meter to concordat_ledger;

  -- A step of an agreement waits for the flush that holds its meter, and the next flush sees the step.
  create function meter_agreement() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
  begin
    insert into agreement_meter (agreement_id, provider_tenant_id, consumer_tenant_id, endpoint_id, state, valid_from, valid_until, rows_per_day, rows_in_total)
      values (new.id, new.provider_tenant_id, new.consumer_tenant_id, new.endpoint_id, new.state, new.valid_from, new.valid_until,
        (new.terms ->> 'rowsPerDay')::bigint, (new.terms ->> 'rowsInTotal')::bigint)
      on conflict (agreement_id) do update set state = excluded.state;
    return null;
  end $$;
  revoke execute on function meter_agreement from public;
  grant create on schema public to concordat_ledger;
  alter function meter_agreement owner to concordat_ledger;
  revoke create on schema public from concordat_ledger;
  create trigger meter after insert or update on agreement for each row execute function meter_agreement();

  -- A key revoked while its request is being inferred is caught by the flush.
  create policy ledger on api_key for select to concordat_ledger using (true);
  grant select (id, expires_at, revoked_at) on api_key to concordat_ledger;
`;

/**
 * One call, one transaction, one durable commit for many requests. Locks: meters in the order of their agreements, then the log.
 * The texts come with "at":null, and the refused one with "code":null, because time and verdict are known only here; both are
 * whole canonical JSON otherwise, so that replacing keeps them canonical, and no string in them can hold an unescaped quote.
 */
const FLUSH = `
  create function ledger_flush(
    p_prediction text[], p_tenant text[], p_counterparty text[], p_agreement text[], p_endpoint text[], p_version text[], p_key text[],
    p_rows int[], p_refusal text[], p_answered text[], p_refused text[], p_salt bytea[]
  ) returns table (index bigint, hash bytea, refusal text, detail text, recorded_at timestamptz) language plpgsql as $$
  declare
    n constant int := cardinality(p_rows);
    verdict text[] := p_refusal;
    why text[] := array_fill(null::text, array[n]);
    revoked boolean[];
    stamp timestamptz;
    iso text;
    today date;
    first bigint;
    request record;
    current_agreement text;
    used_today bigint;
    used_total bigint;
    metered text[] := '{}';
    metered_today bigint[] := '{}';
    metered_total bigint[] := '{}';
  begin
    perform 1 from agreement_meter where agreement_id = any (p_agreement) order by agreement_id for no key update;
    stamp := date_trunc('milliseconds', clock_timestamp());
    iso := to_char(stamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
    today := (stamp at time zone 'UTC')::date;

    select array_agg(u.key is not null and (k.id is null or k.revoked_at is not null or k.expires_at <= stamp) order by u.i)
      into revoked from unnest(p_key) with ordinality u(key, i) left join api_key k on k.id = u.key;
    -- Until its meter says otherwise, a request under an agreement is refused.
    for i in 1 .. n loop
      if verdict[i] is null then
        if revoked[i] then verdict[i] := 'UNAUTHENTICATED';
        elsif p_agreement[i] is not null then verdict[i] := 'AGREEMENT_NOT_IN_FORCE'; why[i] := 'MISSING';
        end if;
      end if;
    end loop;

    for request in
      select u.i, u.rows, m.*, u.tenant = m.consumer_tenant_id and u.endpoint = m.endpoint_id and u.counterparty = m.provider_tenant_id as matches
      from unnest(p_agreement, p_tenant, p_counterparty, p_endpoint, p_rows) with ordinality u(agreement, tenant, counterparty, endpoint, rows, i)
      join agreement_meter m on m.agreement_id = u.agreement
      order by u.agreement, u.i
    loop
      if request.agreement_id is distinct from current_agreement then
        if current_agreement is not null then
          metered := metered || current_agreement; metered_today := metered_today || used_today; metered_total := metered_total || used_total;
        end if;
        current_agreement := request.agreement_id;
        -- A clock set back must not open a day again.
        used_today := case when request.day >= today then request.rows_today else 0 end;
        used_total := request.rows_total;
      end if;
      if verdict[request.i] is distinct from 'AGREEMENT_NOT_IN_FORCE' or why[request.i] is distinct from 'MISSING' or not request.matches then
        continue;
      end if;
      if request.state <> 'ACTIVE' then why[request.i] := request.state;
      elsif stamp < request.valid_from then why[request.i] := 'NOT_YET';
      elsif stamp >= request.valid_until then why[request.i] := 'EXPIRED';
      elsif used_total + request.rows > request.rows_in_total then
        verdict[request.i] := 'QUOTA_TOTAL_EXCEEDED'; why[request.i] := request.rows_in_total - used_total;
      elsif used_today + request.rows > request.rows_per_day then
        verdict[request.i] := 'QUOTA_DAY_EXCEEDED'; why[request.i] := request.rows_per_day - used_today;
      else
        verdict[request.i] := null; why[request.i] := null;
        used_today := used_today + request.rows; used_total := used_total + request.rows;
      end if;
    end loop;
    if current_agreement is not null then
      metered := metered || current_agreement; metered_today := metered_today || used_today; metered_total := metered_total || used_total;
    end if;
    update agreement_meter m set day = greatest(m.day, today), rows_today = u.used_of_day, rows_total = u.used
      from unnest(metered, metered_today, metered_total) u(agreement, used_of_day, used)
      where m.agreement_id = u.agreement and m.rows_total <> u.used;

    update audit_log set next_index = next_index + n returning next_index - n into first;
    return query
      with entry as (
        select u.*, replace(case when u.code is null then u.answered else replace(u.refused, '"code":null', '"code":"' || u.code || '"') end,
          '"at":null', '"at":"' || iso || '"') as content
        from unnest(p_prediction, p_tenant, p_counterparty, p_agreement, p_endpoint, p_version, p_rows, verdict, why, p_answered, p_refused, p_salt)
          with ordinality u(prediction, tenant, counterparty, agreement, endpoint, version, rows, code, reason, answered, refused, salt, i)
      ), written as (
        insert into audit_entry (log_index, leaf_hash, salt, tenant_id, counterparty_tenant_id, at, kind, subject_id, content,
            agreement_id, endpoint_id, model_version_id, row_count, refusal_code)
          select first + e.i - 1, sha256('\\x00'::bytea || e.salt || convert_to(e.content, 'UTF8')), e.salt, e.tenant, e.counterparty, stamp,
            case when e.code is null then 'prediction.answered' else 'prediction.refused' end, e.prediction, e.content,
            e.agreement, e.endpoint, e.version, e.rows, e.code
          from entry e
        returning audit_entry.log_index, audit_entry.leaf_hash
      )
      select w.log_index, w.leaf_hash, verdict[w.log_index - first + 1], why[w.log_index - first + 1], stamp from written w order by w.log_index;
  end $$;
  -- Whatever the server's default: what the ledger has said to be recorded stays recorded.
  alter role concordat_ledger set synchronous_commit = on;
  revoke execute on function ledger_flush from public;
  grant execute on function ledger_flush to concordat_ledger;
`;
