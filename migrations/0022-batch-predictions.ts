import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Predictions in the background: what was asked, chunk by chunk what was answered; and what the ledger holds for it meanwhile. */
export class BatchPredictions0000000000022 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(BATCHES);
    await run.query(RESERVATIONS);
    await run.query(RESERVE);
    await run.query(SETTLE);
    await run.query(RELEASE);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

const BATCHES = `
  alter table blob drop constraint blob_kind_check,
    add constraint blob_kind_check check (kind in ('upload', 'table', 'model', 'answer'));

  -- The consumer's alone: the provider sees the entries of the log, which tell counts.
  create table batch_prediction (
    id text not null check (id ~ '^bat_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    -- Another tenant's, where there is an agreement.
    endpoint_id text not null,
    provider_tenant_id text not null,
    -- The version of the terms under which it was asked, and no other answers it. Null: the endpoint is the tenant's own.
    agreement_id text,
    agreement_version int,
    -- The version to which the endpoint routed when it was asked: it answers all rows.
    model_version_id text not null,
    model_digest text,
    -- Task and classes as published; and what may be told.
    task text not null,
    classes jsonb,
    disclosure jsonb not null,
    purpose text,
    declared_region text,
    -- Who asked: kind, id, key. Looked at again with every chunk.
    actor jsonb not null,
    device_id text,
    -- Whose rows, which are the tenant's own.
    dataset_version_id text not null,
    row_count bigint not null check (row_count > 0),
    chunk_rows int not null check (chunk_rows > 0),
    -- Its state is the state of this job.
    job_id text not null,
    created_at timestamptz not null,
    -- Since when the answers are gone.
    deleted_at timestamptz,
    primary key (tenant_id, id),
    check ((agreement_id is null) = (agreement_version is null)),
    foreign key (tenant_id, dataset_version_id) references dataset_version (tenant_id, id),
    foreign key (tenant_id, job_id) references job (tenant_id, id)
  );
  create index batch_prediction_by_data on batch_prediction (tenant_id, dataset_version_id);
  call protect_tenant_table('batch_prediction');
  grant select, insert, update (deleted_at) on batch_prediction to concordat_app;

  -- There is a row if and only if the log has the entry: both are written in one transaction.
  create table batch_chunk (
    tenant_id text not null,
    batch_id text not null,
    place int not null check (place >= 0),
    row_count int not null check (row_count > 0),
    log_index bigint not null,
    -- What was disclosed, sealed.
    blob_id text not null,
    primary key (tenant_id, batch_id, place),
    foreign key (tenant_id, batch_id) references batch_prediction (tenant_id, id),
    foreign key (tenant_id, blob_id) references blob (tenant_id, id)
  );
  call protect_tenant_table('batch_chunk');
  grant select, insert on batch_chunk to concordat_app;

  -- Whoever deletes data need not know what was made of them: answers about deleted rows go, and what still asks is cancelled.
  create function forget_answers() returns trigger language plpgsql as $$
  begin
    update job set cancel_requested = true, finished_at = case when state = 'QUEUED' then now() end,
        state = case when state = 'QUEUED' then 'CANCELLED' else state end
      where tenant_id = new.tenant_id and state in ('QUEUED', 'RUNNING') and id in (
        select b.job_id from batch_prediction b where b.tenant_id = new.tenant_id and b.dataset_version_id = new.id);
    update blob set wrapped_key = null, deleted_at = coalesce(deleted_at, now()) where tenant_id = new.tenant_id and id in (
      select c.blob_id from batch_chunk c join batch_prediction b on b.tenant_id = c.tenant_id and b.id = c.batch_id
      where b.tenant_id = new.tenant_id and b.dataset_version_id = new.id);
    update batch_prediction set deleted_at = now()
      where tenant_id = new.tenant_id and dataset_version_id = new.id and deleted_at is null;
    return null;
  end $$;
  create trigger forget_answers after update on dataset_version for each row
    when (old.deleted_at is null and new.deleted_at is not null) execute function forget_answers();
`;

const RESERVATIONS = `
  -- Of rows_total and of the windows: reserved, not answered yet. What was answered is rows_total - rows_reserved.
  alter table agreement_meter add column rows_reserved bigint not null default 0 check (rows_reserved >= 0);

  -- What jobs hold of an agreement's limits, and how they ended: both parties see counts and times.
  create table agreement_reservation (
    -- A batch of the consumer's, and the how-manyth time that it was asked for.
    batch_id text not null,
    turn int not null,
    agreement_id text not null references agreement (id),
    provider_tenant_id text not null,
    consumer_tenant_id text not null,
    -- Of the terms.
    version int not null,
    rows_asked bigint not null check (rows_asked > 0),
    rows_held bigint not null check (rows_held >= 0),
    rows_answered bigint not null default 0,
    epsilon_milli_per_row bigint not null,
    -- The windows of the meter in which the held rows are counted.
    day date not null,
    month date not null,
    asked_at timestamptz not null,
    ended_at timestamptz,
    -- SUCCEEDED, CANCELLED, or the code of the failure.
    outcome text,
    primary key (batch_id, turn),
    check ((ended_at is null) = (outcome is null)),
    check (ended_at is null or rows_held = 0)
  );
  create unique index agreement_reservation_open on agreement_reservation (batch_id) where ended_at is null;
  create index agreement_reservation_by_agreement on agreement_reservation (agreement_id, ended_at);
  alter table agreement_reservation enable row level security;
  alter table agreement_reservation force row level security;
  create policy parties on agreement_reservation for select to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  create policy ledger on agreement_reservation to concordat_ledger using (true) with check (true);
  grant select on agreement_reservation to concordat_app;
  grant select, insert, update on agreement_reservation to concordat_ledger;

  -- As the flush asks: CREDENTIAL, MISSING, a state out of force, NOT_YET, EXPIRED; null if nothing is in the way.
  create function ledger_fault(m agreement_meter, p_agreement text, p_provider text, p_endpoint text, p_key text, p_device text, stamp timestamptz)
    returns text language sql stable as $$
      select case
        when p_key is not null and not exists (
          select from ledger_credential where id = p_key and revoked_at is null and expires_at > stamp) then 'CREDENTIAL'
        when p_device is not null and not exists (
          select from ledger_credential where id = p_device and revoked_at is null and expires_at > stamp) then 'CREDENTIAL'
        when p_agreement is null and p_provider is null then null
        when m.agreement_id is null or m.consumer_tenant_id <> current_setting('app.tenant_id') or m.endpoint_id <> p_endpoint
          or m.provider_tenant_id is distinct from p_provider then 'MISSING'
        when m.state <> 'ACTIVE' then m.state
        when stamp < m.valid_from then 'NOT_YET'
        when stamp >= m.valid_until then 'EXPIRED' end
    $$;
  revoke execute on function ledger_fault from public;
  grant execute on function ledger_fault to concordat_ledger;
`;

/** Those who call: services, in the transaction that asks for the job, answers a chunk, or ends the job. They run as the ledger. */
const asLedger = (name: string, toApp = true) => `
  revoke execute on function ${name} from public;
  ${toApp ? `grant execute on function ${name} to concordat_app;` : ''}
  grant create on schema public to concordat_ledger;
  alter function ${name} owner to concordat_ledger;
  revoke create on schema public from concordat_ledger;
`;

/** Lock order: the meter, the reservation, the log. */
const RESERVE = `
  -- Holds all rows of a batch in the total, the month, the day and the privacy budget, or none. Codes: src/domain/audit/outcome.ts.
  -- The limit of a second is not held: chunks wait for it.
  create function ledger_reserve(p_batch text, p_agreement text, p_version int, p_provider text, p_endpoint text, p_rows bigint, p_key text,
      p_device text, p_proof bytea, out verdict smallint, out reason text, out at_ms bigint)
    language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    m agreement_meter;
    stamp timestamptz;
    this_day date;
    this_month date;
    of_day bigint;
    of_month bigint;
  begin
    if p_agreement is not null then
      select * into m from agreement_meter where agreement_id = p_agreement for no key update;
    end if;
    stamp := date_trunc('milliseconds', ledger_now());
    at_ms := round(extract(epoch from stamp) * 1000);
    verdict := 0;
    reason := ledger_fault(m, p_agreement, p_provider, p_endpoint, p_key, p_device, stamp);
    if reason is not null then
      verdict := case reason when 'CREDENTIAL' then 1 else 2 end;
      return;
    end if;
    if p_proof is not null then
      insert into dpop_proof values (p_proof, stamp) on conflict do nothing;
      if not found then
        verdict := 8;
        return;
      end if;
    end if;
    if p_agreement is null then return; end if;
    -- A clock set back opens no window again.
    this_day := greatest(m.day, (stamp at time zone 'UTC')::date);
    this_month := greatest(m.month, date_trunc('month', stamp at time zone 'UTC')::date);
    of_day := case when m.day = this_day then m.rows_today else 0 end;
    of_month := case when m.month = this_month then m.rows_this_month else 0 end;
    if m.rows_total + p_rows > m.rows_in_total then
      verdict := 3; reason := m.rows_in_total - m.rows_total;
    elsif m.budget_used_milli + p_rows * m.epsilon_milli_per_row > m.budget_milli then
      verdict := 7; reason := (m.budget_milli - m.budget_used_milli) / m.epsilon_milli_per_row;
    elsif of_month + p_rows > m.rows_per_month then
      verdict := 5; reason := greatest(m.rows_per_month - of_month, 0);
    elsif of_day + p_rows > m.rows_per_day then
      verdict := 4; reason := greatest(m.rows_per_day - of_day, 0);
    end if;
    if verdict <> 0 then return; end if;
    update agreement_meter set day = this_day, rows_today = of_day + p_rows, month = this_month, rows_this_month = of_month + p_rows,
        rows_total = rows_total + p_rows, rows_reserved = rows_reserved + p_rows,
        budget_used_milli = budget_used_milli + p_rows * coalesce(epsilon_milli_per_row, 0)
      where agreement_id = p_agreement;
    insert into agreement_reservation (batch_id, turn, agreement_id, provider_tenant_id, consumer_tenant_id, version, rows_asked, rows_held,
        epsilon_milli_per_row, day, month, asked_at)
      select p_batch, coalesce(max(r.turn) + 1, 1), p_agreement, m.provider_tenant_id, m.consumer_tenant_id, p_version, p_rows, p_rows,
          coalesce(m.epsilon_milli_per_row, 0), this_day, this_month, stamp
        from agreement_reservation r where r.batch_id = p_batch;
  end $$;
  ${asLedger('ledger_reserve')}
`;

const SETTLE = `
  -- Records a chunk, whose rows go over from those held to those answered. A day or month that has begun since is asked for all that is
  -- still held. Verdict 6: nothing has happened, and the next second may have room.
  create function ledger_settle(p_tenant text, p_batch text, p_context int, p_id uuid, p_rows int, p_duration int, p_input bytea, p_output bytea,
      out verdict smallint, out reason text, out log_index bigint, out at_ms bigint)
    language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    c prediction_context;
    m agreement_meter;
    r agreement_reservation;
    stamp timestamptz;
    this_second bigint;
    this_day date;
    this_month date;
    of_second bigint;
    of_day bigint;
    of_month bigint;
  begin
    select * into c from prediction_context x where x.id = p_context;
    if c.tenant_id is distinct from p_tenant or p_tenant is distinct from current_setting('app.tenant_id') then
      raise exception 'a chunk belongs to the tenant that asked';
    end if;
    if c.agreement_id is not null then
      select * into m from agreement_meter x where x.agreement_id = c.agreement_id for no key update;
    end if;
    stamp := date_trunc('milliseconds', ledger_now());
    at_ms := round(extract(epoch from stamp) * 1000);
    verdict := 0;
    reason := ledger_fault(m, c.agreement_id, c.counterparty_tenant_id, c.endpoint_id, c.key_id, c.device_id, stamp);
    if reason is not null then
      verdict := case reason when 'CREDENTIAL' then 1 else 2 end;
      return;
    end if;
    if c.agreement_id is not null then
      select * into r from agreement_reservation x where x.batch_id = p_batch and x.ended_at is null for update;
      if r.agreement_id is distinct from c.agreement_id or r.rows_held < p_rows then
        raise exception 'nothing is reserved for this chunk';
      end if;
      this_second := floor(extract(epoch from stamp));
      this_day := greatest(m.day, (stamp at time zone 'UTC')::date);
      this_month := greatest(m.month, date_trunc('month', stamp at time zone 'UTC')::date);
      of_second := case when m.second >= this_second then m.rows_this_second else 0 end;
      of_day := case when m.day = this_day then m.rows_today else 0 end + case when r.day < this_day then r.rows_held else 0 end;
      of_month := case when m.month = this_month then m.rows_this_month else 0 end + case when r.month < this_month then r.rows_held else 0 end;
      if r.month < this_month and of_month > m.rows_per_month then
        verdict := 5; reason := greatest(m.rows_per_month - of_month + r.rows_held, 0);
      elsif r.day < this_day and of_day > m.rows_per_day then
        verdict := 4; reason := greatest(m.rows_per_day - of_day + r.rows_held, 0);
      elsif of_second + p_rows > m.rows_per_second then
        verdict := 6; reason := greatest(m.rows_per_second - of_second, 0);
      end if;
      if verdict <> 0 then return; end if;
      update agreement_meter x set second = greatest(x.second, this_second), rows_this_second = of_second + p_rows,
          day = this_day, rows_today = of_day, month = this_month, rows_this_month = of_month, rows_reserved = x.rows_reserved - p_rows
        where x.agreement_id = c.agreement_id;
      update agreement_reservation x set rows_held = x.rows_held - p_rows, rows_answered = x.rows_answered + p_rows, day = this_day, month = this_month
        where x.batch_id = r.batch_id and x.turn = r.turn;
    end if;
    update audit_log set next_index = next_index + 1 returning next_index - 1 into log_index;
    insert into prediction_entry (log_index, at, prediction_id, context_id, row_count, duration_us, code, batch_place, batch_size, input_digest, output_digest)
      values (log_index, stamp, p_id, p_context, p_rows, p_duration, 0, 0, 1, p_input, p_output);
  end $$;
  ${asLedger('ledger_settle')}
`;

const RELEASE = `
  -- Lets go what a batch holds, and keeps how it ended. Nothing happens if it holds nothing.
  create function release_rows(p_batch text, p_outcome text) returns void language plpgsql as $$
  declare
    r agreement_reservation;
  begin
    select * into r from agreement_reservation where batch_id = p_batch and ended_at is null;
    if not found then return; end if;
    perform 1 from agreement_meter where agreement_id = r.agreement_id for no key update;
    -- Once more, behind whoever held the meter.
    select * into r from agreement_reservation where batch_id = p_batch and ended_at is null for update;
    if not found then return; end if;
    update agreement_meter m set rows_total = m.rows_total - r.rows_held, rows_reserved = m.rows_reserved - r.rows_held,
        rows_today = m.rows_today - case when m.day = r.day then r.rows_held else 0 end,
        rows_this_month = m.rows_this_month - case when m.month = r.month then r.rows_held else 0 end,
        budget_used_milli = m.budget_used_milli - r.rows_held * r.epsilon_milli_per_row
      where m.agreement_id = r.agreement_id;
    update agreement_reservation set rows_held = 0, ended_at = date_trunc('milliseconds', ledger_now()), outcome = p_outcome
      where batch_id = r.batch_id and turn = r.turn;
  end $$;
  revoke execute on function release_rows from public;
  grant execute on function release_rows to concordat_ledger;

  -- However a job ends and whoever ends it: in the same transaction, nothing is held for it any more.
  create function release_reservation() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
  begin
    perform release_rows(new.subject_id, case new.state when 'FAILED' then coalesce(new.error_code, 'INTERNAL') else new.state end);
    return null;
  end $$;
  ${asLedger('release_reservation()', false)}
  create trigger release after update of state on job for each row
    when (new.name = 'predict' and old.state in ('QUEUED', 'RUNNING') and new.state not in ('QUEUED', 'RUNNING'))
    execute function release_reservation();

  -- A settlement counts what was answered, for good: jobs whose worker has not heard of the end yet hold nothing beyond it.
  create function release_settled() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    batch text;
  begin
    for batch in select batch_id from agreement_reservation where agreement_id = new.id and ended_at is null loop
      perform release_rows(batch, 'AGREEMENT_NOT_IN_FORCE');
    end loop;
    return null;
  end $$;
  ${asLedger('release_settled()', false)}
  create trigger release after update of state on agreement for each row
    when (new.state = 'SETTLED' and old.state <> 'SETTLED') execute function release_settled();
`;
