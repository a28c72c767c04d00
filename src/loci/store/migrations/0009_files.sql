create table folders (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    description text,
    instructions text,
    embedding text,
    metadata text not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    updated_by text,
    unique (organization_id, name)
);
create index folders_by_time on folders (organization_id, created_at, id);

create table agent_folders (
    agent_id text not null references agents (id) on delete cascade,
    folder_id text not null references folders (id) on delete cascade,
    organization_id text not null,
    project_id text,
    created_at text not null,
    primary key (agent_id, folder_id)
);
create index agent_folders_by_folder on agent_folders (folder_id);

create table files (
    id text primary key,
    organization_id text not null,
    project_id text,
    folder_id text not null references folders (id) on delete cascade,
    name text not null,
    original_name text not null,
    media_type text not null,
    size_bytes integer not null,
    status text not null,
    error text,
    chunks_total integer,
    lines integer not null,
    chars integer not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    unique (folder_id, name)
);
create index files_by_time on files (folder_id, created_at, id);

create table file_texts (
    file_id text primary key references files (id) on delete cascade,
    organization_id text not null,
    project_id text,
    text text not null
);

create table file_pieces (
    file_id text not null,
    number integer not null,
    organization_id text not null,
    project_id text,
    bytes {{blob}} not null,
    primary key (file_id, number)
);

create table agent_files (
    agent_id text not null references agents (id) on delete cascade,
    file_id text not null references files (id) on delete cascade,
    organization_id text not null,
    project_id text,
    is_open integer not null,
    shown text,
    line_first integer,
    line_last integer,
    accessed_at text not null,
    primary key (agent_id, file_id)
);
create index agent_files_by_file on agent_files (file_id);

create table chunks (
    seq {{serial}},
    id text not null unique,
    organization_id text not null,
    project_id text,
    folder_id text not null references folders (id) on delete cascade,
    file_id text not null references files (id) on delete cascade,
    text text not null,
    line integer not null,
    created_at text not null
);
create index chunks_by_file on chunks (file_id, seq);
create index chunks_by_folder on chunks (folder_id, created_at, id);
