create table identities (
    id text primary key,
    organization_id text not null,
    project_id text,
    identifier_key text not null,
    name text not null,
    identity_type text not null,
    properties text not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    updated_by text,
    unique (organization_id, identifier_key)
);
create index identities_by_time on identities (organization_id, created_at, id);

create table agent_identities (
    agent_id text not null references agents (id) on delete cascade,
    identity_id text not null references identities (id) on delete cascade,
    organization_id text not null,
    project_id text,
    position integer not null,
    primary key (agent_id, identity_id)
);
create index agent_identities_by_identity on agent_identities (identity_id);

create table block_identities (
    block_id text not null references blocks (id) on delete cascade,
    identity_id text not null references identities (id) on delete cascade,
    organization_id text not null,
    project_id text,
    position integer not null,
    primary key (block_id, identity_id)
);
create index block_identities_by_identity on block_identities (identity_id);

-- The column held ids that nothing stood behind.
alter table agents drop column identity_ids;
