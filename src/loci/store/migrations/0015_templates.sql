-- Templates of agents with their versions, what was made from them, and projects.

create table projects (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    slug text not null,
    created_at text not null,
    unique (organization_id, slug)
);

create table templates (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    description text,
    file text not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    deleted_at text
);
create unique index templates_by_name on templates (organization_id, coalesce(project_id, ''), name)
    where deleted_at is null;

create table template_versions (
    id text primary key,
    organization_id text not null,
    project_id text,
    template_id text not null references templates (id) on delete cascade,
    number integer not null,
    file text not null,
    message text,
    created_at text not null,
    created_by text,
    unique (template_id, number)
);

create table deployments (
    id text primary key,
    organization_id text not null,
    project_id text,
    template_id text not null,
    variables text not null,
    created_at text not null,
    created_by text
);

create table deployment_blocks (
    block_id text primary key references blocks (id) on delete cascade,
    organization_id text not null,
    project_id text,
    deployment_id text not null,
    template_id text not null,
    base_template_id text not null,
    entity_id text not null
);
create index deployment_blocks_by_deployment on deployment_blocks (deployment_id);
create index agents_by_deployment on agents (deployment_id) where deployment_id is not null;
