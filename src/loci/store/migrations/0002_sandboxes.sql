create table sandbox_configs (
    id text primary key,
    organization_id text not null,
    project_id text,
    kind text not null,
    config text not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    updated_by text
);
create unique index sandbox_configs_by_kind on sandbox_configs (organization_id, kind);

create table sandbox_variables (
    id text primary key,
    organization_id text not null,
    project_id text,
    config_id text not null,
    name text not null,
    sealed text not null,
    description text,
    created_at text not null,
    updated_at text not null,
    created_by text,
    updated_by text
);
create unique index sandbox_variables_by_name on sandbox_variables (config_id, name);
