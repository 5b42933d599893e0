import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Predictions get a narrow table of their own: what many of them have in common is kept once, as their context. The ledger's
 * function holds more limits than before, and hashes nothing: contents are derived from the columns by whoever reads them.
 */
export class PredictionEntries0000000000014 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(CONTEXT);
    await run.query(ENTRY);
    await run.query(METER);
    await run.query(CREDENTIALS);
    await run.query(FLUSH);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

const CONTEXT = `
  -- One row for each combination of who asked what under which terms. Written once, by the ledger, before the first entry that names it.
  create table prediction_context (
    id int generated always as identity primary key,
    -- SHA-256 of the content.
    digest bytea not null check (digest = sha256(convert_to(content, 'UTF8'))),
    -- Who asked, and the provider unless that is the same.
    tenant_id text not null,
    counterparty_tenant_id text,
    agreement_id text,
    endpoint_id text not null,
    model_version_id text,
    purpose text,
    -- What the ledger looks at once more: an API key, a device.
    key_id text,
    device_id text,
    -- Canonical JSON (RFC 8785), the exact bytes that were hashed; the columns repeat what is asked by.
    content text not null,
    unique (tenant_id, digest)
  );
  create index prediction_context_by_counterparty on prediction_context (counterparty_tenant_id) where counterparty_tenant_id is not null;
  create index prediction_context_by_agreement on prediction_context (agreement_id) where agreement_id is not null;
  alter table prediction_context enable row level security;
  alter table prediction_context force row level security;
  create policy parties on prediction_context for select to concordat_app
    using (tenant_id = current_setting('app.tenant_id') or counterparty_tenant_id = current_setting('app.tenant_id'));
  create policy ledger on prediction_context to concordat_ledger using (true) with check (true);
  grant select on prediction_context to concordat_app;
  grant select, insert on prediction_context to concordat_ledger;
`;

/** 2^24 entries a partition: some 3.5 GB. */
const ENTRY = `
  -- A prediction's usage and its place in the log are one row. The order of the columns leaves no padding. No foreign key to the
  -- context: it would write to that row with each entry, and no role may delete one.
  create table prediction_entry (
    log_index bigint primary key,
    at timestamptz not null,
    -- A UUID whose random bits salt the entry.
    prediction_id uuid not null,
    context_id int not null,
    -- Rows asked for. Answered, and charged, if the code is 0.
    row_count int not null check (row_count >= 0),
    -- From the arrival of the request to its record's departure for the database.
    duration_us int not null check (duration_us >= 0),
    -- src/domain/audit/outcome.ts names them.
    code smallint not null,
    -- The flush that recorded it, whose Merkle root was signed: which entry of how many.
    batch_place smallint not null,
    batch_size smallint not null,
    input_digest bytea,
    output_digest bytea,
    check ((octet_length(input_digest) = 32 and octet_length(output_digest) = 32) is not false),
    check ((code = 0) = (input_digest is not null and output_digest is not null))
  ) partition by range (log_index);
  -- Equal keys are kept once: 7 bytes an entry.
  create index prediction_entry_by_context on prediction_entry (context_id);
  create index prediction_entry_by_time on prediction_entry using brin (at) with (pages_per_range = 64, autosummarize = on);
  alter table prediction_entry enable row level security;
  alter table prediction_entry force row level security;
  create policy parties on prediction_entry for select to concordat_app
    using (context_id in (select c.id from prediction_context c));
  create policy ledger on prediction_entry to concordat_ledger using (true) with check (true);
  grant select on prediction_entry to concordat_app;
  grant select, insert on prediction_entry to concordat_ledger;

  -- Makes the partition for the next entry and the one after it, beside those who read and write.
  create function ledger_extend() returns void language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    size constant bigint := 16777216;
    part bigint;
    name text;
  begin
    perform pg_advisory_xact_lock(hashtext('ledger_extend'));
    select next_index / size into part from audit_log;
    for part in part .. part + 1 loop
      name := 'prediction_entry_' || part;
      continue when to_regclass(name) is not null;
      execute format('create table %I (like prediction_entry including constraints including indexes)', name);
      execute format('create unique index %I on %I (prediction_id)', name || '_id', name);
      execute format('alter table %I enable row level security', name);
      execute format('alter table %I force row level security', name);
      execute format('alter table prediction_entry attach partition %I for values from (%s) to (%s)', name, part * size, (part + 1) * size);
    end loop;
  end $$;
  revoke execute on function ledger_extend from public;
  grant execute on function ledger_extend to concordat_ledger;
  select ledger_extend();

  -- What cannot be lost once it was said: not even where the server's default is otherwise.
  alter role concordat_app set synchronous_commit = on;
`;

const METER = `
  alter table agreement_meter
    add column rows_per_second bigint check (rows_per_second > 0),
    add column rows_per_month bigint check (rows_per_month > 0),
    -- Thousandths of epsilon: what a row costs, and what there is in all.
    add column epsilon_milli_per_row bigint check (epsilon_milli_per_row > 0),
    add column budget_milli bigint check (budget_milli > 0),
    -- The UTC second (of the Unix epoch) and month (its first day) that the counters below count.
    add column second bigint not null default 0,
    add column rows_this_second bigint not null default 0,
    add column month date not null default '-infinity',
    add column rows_this_month bigint not null default 0,
    add column budget_used_milli bigint not null default 0,
    -- An amendment may lower the limit of a window below what it has used; the ledger alone holds those.
    drop constraint agreement_meter_check,
    add check (budget_used_milli <= budget_milli);
  -- Rows of the current month so far, from the entries of old.
  update agreement_meter m set month = date_trunc('month', now() at time zone 'UTC')::date, rows_this_month = (
    select coalesce(sum(e.row_count), 0) from audit_entry e where e.agreement_id = m.agreement_id and e.refusal_code is null
      and e.at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC');

  -- Reads terms leniently: what they do not name is not limited. A limit for all time is never below what is used up already.
  create or replace function meter_agreement() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
  begin
    insert into agreement_meter (agreement_id, provider_tenant_id, consumer_tenant_id, endpoint_id, state, valid_from, valid_until,
        rows_per_second, rows_per_day, rows_per_month, rows_in_total, epsilon_milli_per_row, budget_milli)
      values (new.id, new.provider_tenant_id, new.consumer_tenant_id, new.endpoint_id, new.state, new.valid_from, new.valid_until,
        (new.terms ->> 'rowsPerSecond')::bigint, (new.terms ->> 'rowsPerDay')::bigint, (new.terms ->> 'rowsPerMonth')::bigint,
        (new.terms ->> 'rowsInTotal')::bigint,
        (new.terms -> 'disclosure' ->> 'epsilonMilliPerRow')::bigint, (new.terms -> 'disclosure' ->> 'budgetMilli')::bigint)
      on conflict (agreement_id) do update set state = excluded.state, valid_from = excluded.valid_from, valid_until = excluded.valid_until,
        rows_per_second = excluded.rows_per_second, rows_per_day = excluded.rows_per_day, rows_per_month = excluded.rows_per_month,
        rows_in_total = case when excluded.rows_in_total is not null then greatest(excluded.rows_in_total, agreement_meter.rows_total, 1) end,
        epsilon_milli_per_row = excluded.epsilon_milli_per_row,
        budget_milli = case when excluded.budget_milli is not null then greatest(excluded.budget_milli, agreement_meter.budget_used_milli, 1) end;
    return null;
  end $$;
`;

const CREDENTIALS = `
  -- What ends the right to an answer that is being computed, by id. Devices will join the keys.
  create view ledger_credential with (security_invoker = true) as select id, expires_at, revoked_at from api_key;
  grant select on ledger_credential to concordat_ledger;

  -- SHA-256 of the ids of the proofs of possession that were used: each counts once, on whichever replica. The ledger forgets them
  -- when they are too old to be accepted.
  create table dpop_proof (
    proof bytea primary key check (octet_length(proof) = 32),
    at timestamptz not null
  );
  create index dpop_proof_by_time on dpop_proof using brin (at) with (pages_per_range = 16);
  grant select, insert, delete on dpop_proof to concordat_ledger;

  -- What contexts say of models.
  create policy gate on model_version for select to concordat_gate using (true);
  grant select (id, tenant_id, digest) on model_version to concordat_gate;
`;

/** The rows that a meter has counted in the windows of now. A clock set back opens no window again. */
const USED = `case when m.second >= this_second then m.rows_this_second else 0 end as of_second,
        case when m.day >= this_day then m.rows_today else 0 end as of_day,
        case when m.month >= this_month then m.rows_this_month else 0 end as of_month`;

/** Charges the rows of \`u\`, which has the agreement, the rows, and what USED gives. */
const CHARGE = `update agreement_meter m set
        second = greatest(m.second, this_second), rows_this_second = u.of_second + u.rows,
        day = greatest(m.day, this_day), rows_today = u.of_day + u.rows,
        month = greatest(m.month, this_month), rows_this_month = u.of_month + u.rows,
        rows_total = m.rows_total + u.rows,
        budget_used_milli = m.budget_used_milli + u.rows * coalesce(m.epsilon_milli_per_row, 0)`;

/**
 * One call, one transaction, one durable commit for many requests, in the order in which they came. Each is admitted with all its
 * rows or refused. Locks: meters in the order of their agreements, then the log. Codes: src/domain/audit/outcome.ts.
 */
export const FLUSH = `
  -- The ledger's time, in one place.
  create or replace function ledger_now() returns timestamptz language sql volatile return clock_timestamp();
  revoke execute on function ledger_now from public;
  grant execute on function ledger_now to concordat_ledger;

  drop function ledger_flush;
  create function ledger_flush(
    p_contexts int[],                        -- the contexts in question, each once
    p_place int[],                           -- from here on by request: which of them, from 1
    p_id uuid[], p_rows int[], p_duration int[],
    p_code smallint[],                       -- 0, or why it is refused already
    p_input bytea[], p_output bytea[],       -- digests; null: there is no answer
    p_key uuid[], p_proof bytea[],           -- null altogether: nobody sent one
    out first_index bigint, out at_ms bigint,
    out verdict smallint[],                  -- null: all were admitted
    out reason text[],                       -- the state of an agreement out of force; what a limit has left
    out replayed bigint[]                    -- the index under which the same request is recorded already
  ) language plpgsql as $$
  declare
    n constant int := cardinality(p_rows);
    size int := n;
    stamp timestamptz;
    this_second bigint;
    this_day date;
    this_month date;
    meter text[];
    fault text[];
    has_fault boolean;
    overdrawn text[];
    request record;
    current_agreement text;
    taken bigint;
    metered text[] := '{}';
    metered_rows bigint[] := '{}';
  begin
    perform 1 from agreement_meter where agreement_id in (select c.agreement_id from prediction_context c where c.id = any (p_contexts))
      order by agreement_id for no key update;
    stamp := date_trunc('milliseconds', ledger_now());
    at_ms := round(extract(epoch from stamp) * 1000);
    this_second := floor(extract(epoch from stamp));
    this_day := (stamp at time zone 'UTC')::date;
    this_month := date_trunc('month', stamp at time zone 'UTC')::date;
    verdict := p_code;

    select array_agg(c.agreement_id order by d.i), array_agg(f.fault order by d.i), bool_or(f.fault is not null)
      into meter, fault, has_fault
      from unnest(p_contexts) with ordinality d(id, i)
        left join prediction_context c on c.id = d.id
        left join agreement_meter m on m.agreement_id = c.agreement_id
        left join ledger_credential k on k.id = c.key_id
        left join ledger_credential v on v.id = c.device_id
        cross join lateral (select case
          when c.id is null then 'UNKNOWN'
          when c.key_id is not null and (k.id is null or k.revoked_at is not null or k.expires_at <= stamp) is not false then 'CREDENTIAL'
          when c.device_id is not null and (v.id is null or v.revoked_at is not null or v.expires_at <= stamp) is not false then 'CREDENTIAL'
          when c.agreement_id is null and c.counterparty_tenant_id is null then null
          when m.agreement_id is null or m.consumer_tenant_id <> c.tenant_id or m.endpoint_id <> c.endpoint_id
            or m.provider_tenant_id is distinct from c.counterparty_tenant_id then 'MISSING'
          when m.state <> 'ACTIVE' then m.state
          when stamp < m.valid_from then 'NOT_YET'
          when stamp >= m.valid_until then 'EXPIRED' end as fault) f;
    if has_fault then
      reason := array_fill(null::text, array[n]);
      for i in 1 .. n loop
        if verdict[i] = 0 and fault[p_place[i]] is not null then
          reason[i] := fault[p_place[i]];
          verdict[i] := case reason[i] when 'UNKNOWN' then 10 when 'CREDENTIAL' then 1 else 2 end;
        end if;
      end loop;
    end if;

    if p_key is not null or p_proof is not null then
      -- The flushes of other replicas come before this or after: what they have recorded is seen from here on.
      perform 1 from audit_log for update;
      for request in
        with fresh as (insert into dpop_proof select u.proof, stamp from unnest(p_proof) u(proof) where u.proof is not null
          on conflict do nothing returning proof)
        select u.i from unnest(p_proof) with ordinality u(proof, i) where u.proof is not null and u.proof not in (select f.proof from fresh f)
      loop
        if verdict[request.i] = 0 then verdict[request.i] := 8; end if;
      end loop;
      for request in
        select u.i, e.log_index, e.input_digest = u.input and e.row_count = u.rows and then_asked.tenant_id = now_asked.tenant_id
            and then_asked.endpoint_id = now_asked.endpoint_id and then_asked.agreement_id is not distinct from now_asked.agreement_id
            and then_asked.purpose is not distinct from now_asked.purpose as is_same
          from unnest(p_key, p_place, p_rows, p_input) with ordinality u(key, place, rows, input, i)
            join prediction_entry e on e.prediction_id = u.key
            join prediction_context then_asked on then_asked.id = e.context_id
            join prediction_context now_asked on now_asked.id = p_contexts[u.place]
      loop
        if verdict[request.i] <> 0 then continue;
        elsif request.is_same then
          replayed := coalesce(replayed, array_fill(null::bigint, array[n]));
          replayed[request.i] := request.log_index;
          -- Neither charged nor recorded again.
          verdict[request.i] := -1;
          size := size - 1;
        else
          verdict[request.i] := 9;
        end if;
      end loop;
    end if;

    with u as (
      select m.agreement_id, asked.rows, ${USED}
        from (select meter[r.place] as agreement, sum(r.rows)::bigint as rows from unnest(p_place, p_rows, verdict) r(place, rows, code)
          where r.code = 0 and meter[r.place] is not null group by 1) asked
        join agreement_meter m on m.agreement_id = asked.agreement
    ), charged as (
      ${CHARGE} from u
        where m.agreement_id = u.agreement_id
          and (u.of_second + u.rows > m.rows_per_second) is not true and (u.of_day + u.rows > m.rows_per_day) is not true
          and (u.of_month + u.rows > m.rows_per_month) is not true and (m.rows_total + u.rows > m.rows_in_total) is not true
          and (m.budget_used_milli + u.rows * m.epsilon_milli_per_row > m.budget_milli) is not true
        returning m.agreement_id
    ) select array_agg(u.agreement_id) into overdrawn from u where u.agreement_id not in (select c.agreement_id from charged c);

    -- What asks for more than is left: one request after the other.
    if overdrawn is not null then
      reason := coalesce(reason, array_fill(null::text, array[n]));
      for request in
        select r.i, r.rows, m.*, ${USED}
          from unnest(p_place, p_rows, verdict) with ordinality r(place, rows, code, i) join agreement_meter m on m.agreement_id = meter[r.place]
          where r.code = 0 and m.agreement_id = any (overdrawn) order by m.agreement_id, r.i
      loop
        if request.agreement_id is distinct from current_agreement then
          if current_agreement is not null then metered := metered || current_agreement; metered_rows := metered_rows || taken; end if;
          current_agreement := request.agreement_id;
          taken := 0;
        end if;
        -- The limit that lasts longest is told first: waiting for a shorter one would not help.
        if request.rows_total + taken + request.rows > request.rows_in_total then
          verdict[request.i] := 3; reason[request.i] := request.rows_in_total - request.rows_total - taken;
        elsif request.budget_used_milli + (taken + request.rows) * request.epsilon_milli_per_row > request.budget_milli then
          verdict[request.i] := 7;
          reason[request.i] := (request.budget_milli - request.budget_used_milli) / request.epsilon_milli_per_row - taken;
        elsif request.of_month + taken + request.rows > request.rows_per_month then
          verdict[request.i] := 5; reason[request.i] := greatest(request.rows_per_month - request.of_month - taken, 0);
        elsif request.of_day + taken + request.rows > request.rows_per_day then
          verdict[request.i] := 4; reason[request.i] := greatest(request.rows_per_day - request.of_day - taken, 0);
        elsif request.of_second + taken + request.rows > request.rows_per_second then
          verdict[request.i] := 6; reason[request.i] := greatest(request.rows_per_second - request.of_second - taken, 0);
        else
          taken := taken + request.rows;
        end if;
      end loop;
      metered := metered || current_agreement; metered_rows := metered_rows || taken;
      with u as (select m.agreement_id, t.rows, ${USED} from unnest(metered, metered_rows) t(agreement, rows)
        join agreement_meter m on m.agreement_id = t.agreement where t.rows > 0)
      ${CHARGE} from u where m.agreement_id = u.agreement_id;
    end if;

    if size > 0 then
      update audit_log set next_index = next_index + size returning next_index - size into first_index;
    end if;
    if p_key is null and verdict = array_fill(0::smallint, array[n]) then
      -- All are admitted: what nearly every flush is, without a look at each.
      insert into prediction_entry (log_index, at, prediction_id, context_id, row_count, duration_us, code, batch_place, batch_size, input_digest, output_digest)
        select first_index + e.i - 1, stamp, e.id, p_contexts[e.context], e.rows, e.duration, 0, e.i - 1, n, e.input, e.output
          from unnest(p_id, p_place, p_rows, p_duration, p_input, p_output) with ordinality e(id, context, rows, duration, input, output, i);
    elsif size > 0 then
      insert into prediction_entry (log_index, at, prediction_id, context_id, row_count, duration_us, code, batch_place, batch_size, input_digest, output_digest)
        select first_index + e.place, stamp, case when e.code = 0 then coalesce(e.key, e.id) else e.id end, p_contexts[e.context], e.rows,
            e.duration, e.code, e.place, size, case when e.code = 0 then e.input end, case when e.code = 0 then e.output end
          from (select u.*, row_number() over (order by u.i) - 1 as place
            from unnest(p_id, p_key, p_place, p_rows, p_duration, verdict, p_input, p_output) with ordinality
              u(id, key, context, rows, duration, code, input, output, i) where u.code >= 0) e;
    end if;
    if verdict = array_fill(0::smallint, array[n]) then verdict := null; end if;
  end $$;
  revoke execute on function ledger_flush from public;
  grant execute on function ledger_flush to concordat_ledger;
`;
