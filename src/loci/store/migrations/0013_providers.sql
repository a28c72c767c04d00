create table providers (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    provider_type text not null,
    api_key text,
    access_key text,
    base_url text,
    region text,
    api_version text,
    created_at text not null,
    updated_at text not null,
    last_synced_at text,
    created_by text,
    updated_by text
);
create unique index providers_by_name on providers (organization_id, name);
