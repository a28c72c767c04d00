-- Organisations, their users, and the keys by which they are known.

create table organizations (
    organization_id text primary key,
    project_id text,
    name text not null,
    privileged_tools integer not null,
    created_at text not null
);

create table users (
    id text primary key,
    organization_id text not null references organizations (organization_id) on delete cascade,
    project_id text,
    name text not null,
    created_at text not null,
    updated_at text not null
);
create index users_by_organization on users (organization_id, id);

create table api_keys (
    id text primary key,
    organization_id text not null,
    project_id text,
    user_id text not null references users (id) on delete cascade,
    name text not null,
    begins text not null,
    hash text not null unique,
    hostname text,
    grants text,
    created_at text not null,
    last_used_at text,
    expires_at text,
    revoked_at text
);
create index api_keys_by_organization on api_keys (organization_id, id);
create index api_keys_by_user on api_keys (user_id);
