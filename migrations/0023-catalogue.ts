import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What providers show of what they offer, to whom; and what consumers ask of them on it. */
export class Catalogue0000000000023 implements MigrationInterface {
  async up(run: QueryRunner): Promise<void> {
    await run.query(LISTING);
    await run.query(NAMES);
    await run.query(REQUEST);
  }

  down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

const LISTING = `
  create table listing (
    id text not null unique check (id ~ '^lst_[0-9a-f]{32}$'),
    tenant_id text not null references tenant (id),
    endpoint_id text not null,
    state text not null default 'LISTED' check (state in ('LISTED', 'WITHDRAWN')),
    name text not null check (char_length(name) between 1 and 200),
    description text check (char_length(description) <= 10000),
    -- What may be seen of the endpoint's signature, as it is published: it never changes. Null: nothing.
    schema jsonb,
    -- Terms as an example: whoever asks for an offer may ask for others, whoever offers may offer others.
    terms jsonb,
    audience text not null check (audience in ('ALL', 'NAMED')),
    created_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, endpoint_id) references endpoint (tenant_id, id)
  );
  create index listing_by_endpoint on listing (tenant_id, endpoint_id);
  call protect_tenant_table('listing');
  grant select, insert, update (state, name, description, schema, terms, audience, changed_at) on listing to concordat_app;

  -- The tenants that may see a listing for NAMED ones.
  create table listing_audience (
    tenant_id text not null,
    listing_id text not null,
    audience_tenant_id text not null references tenant (id),
    primary key (tenant_id, listing_id, audience_tenant_id),
    foreign key (tenant_id, listing_id) references listing (tenant_id, id)
  );
  create index listing_audience_by_audience on listing_audience (audience_tenant_id);
  call protect_tenant_table('listing_audience');
  create policy named on listing_audience for select to concordat_app
    using (audience_tenant_id = current_setting('app.tenant_id'));
  grant select, insert, delete on listing_audience to concordat_app;

  -- Others see what is listed for all, or for them.
  create policy visible on listing for select to concordat_app
    using (state = 'LISTED' and (audience = 'ALL' or exists (select from listing_audience a
      where a.tenant_id = listing.tenant_id and a.listing_id = listing.id and a.audience_tenant_id = current_setting('app.tenant_id'))));

  -- What is deleted is offered no longer.
  create function withdraw_listings() returns trigger language plpgsql as $$
  begin
    update listing set state = 'WITHDRAWN', changed_at = now()
      where tenant_id = new.tenant_id and endpoint_id = new.id and state = 'LISTED';
    return null;
  end $$;
  create trigger withdraw_listings after update on endpoint for each row
    when (old.state <> 'DELETED' and new.state = 'DELETED') execute function withdraw_listings();
`;

const NAMES = `
  create policy gate on listing for select to concordat_gate using (true);
  create policy gate on listing_audience for select to concordat_gate using (true);
  grant select (id, tenant_id, state, audience) on listing to concordat_gate;
  grant select on listing_audience to concordat_gate;
  -- Whoever sees a listing sees whose it is.
  create function listing_provider_names(p_listings text[]) returns table (listing_id text, provider_name text)
    language sql stable security definer set search_path = public, pg_temp as $$
      select l.id, p.name from listing l join tenant p on p.id = l.tenant_id
      where l.id = any (p_listings) and (l.tenant_id = current_setting('app.tenant_id')
        or l.state = 'LISTED' and (l.audience = 'ALL' or exists (select from listing_audience a
          where a.tenant_id = l.tenant_id and a.listing_id = l.id and a.audience_tenant_id = current_setting('app.tenant_id'))))
    $$;
  revoke execute on function listing_provider_names from public;
  grant execute on function listing_provider_names to concordat_app;
  grant create on schema public to concordat_gate;
  alter function listing_provider_names owner to concordat_gate;
  revoke create on schema public from concordat_gate;
`;

const REQUEST = `
  -- A consumer asks for an offer on a listing that it sees. Both see it.
  create table offer_request (
    id text not null unique check (id ~ '^orq_[0-9a-f]{32}$'),
    provider_tenant_id text not null,
    consumer_tenant_id text not null references tenant (id),
    listing_id text not null,
    state text not null default 'OPEN' check (state in ('OPEN', 'ANSWERED', 'DECLINED', 'WITHDRAWN')),
    -- What the consumer would sign; null: the example, or whatever the provider offers.
    terms jsonb,
    message text check (char_length(message) <= 10000),
    -- The offer that answered it. Written before it: the audit log comes last in a transaction.
    agreement_id text references agreement (id) deferrable initially deferred,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (provider_tenant_id, id),
    check (provider_tenant_id <> consumer_tenant_id),
    check ((agreement_id is null) = (state <> 'ANSWERED')),
    foreign key (provider_tenant_id, listing_id) references listing (tenant_id, id)
  );
  -- One at a time.
  create unique index offer_request_open on offer_request (provider_tenant_id, listing_id, consumer_tenant_id) where state = 'OPEN';
  create index offer_request_by_consumer on offer_request (consumer_tenant_id);
  alter table offer_request enable row level security;
  alter table offer_request force row level security;
  create policy parties on offer_request for select to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  create policy asks on offer_request for insert to concordat_app
    with check (consumer_tenant_id = current_setting('app.tenant_id') and state = 'OPEN'
      -- Through the policies of listings: one that the consumer sees.
      and exists (select from listing l where l.tenant_id = provider_tenant_id and l.id = listing_id and l.state = 'LISTED'));
  create policy answers on offer_request for update to concordat_app
    using (current_setting('app.tenant_id') in (provider_tenant_id, consumer_tenant_id));
  grant select, insert, update (state, agreement_id, changed_at) on offer_request to concordat_app;
`;
