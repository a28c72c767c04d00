create table mcp_servers (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    transport text not null,
    config text not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    unique (organization_id, name)
);

create table mcp_tools (
    tool_id text primary key references tools (id) on delete cascade,
    server_id text not null references mcp_servers (id) on delete cascade,
    organization_id text not null,
    project_id text,
    remote_name text not null,
    unique (server_id, remote_name)
);

create table mcp_grants (
    organization_id text not null,
    place text not null,
    project_id text,
    sealed text not null,
    updated_at text not null,
    primary key (organization_id, place)
);
