create table memory_commits (
    agent_id text not null references agents (id) on delete cascade,
    number integer not null,
    organization_id text not null,
    project_id text,
    head text not null,
    held text not null,
    journal_seq integer not null,
    pack {{blob}} not null,
    created_at text not null,
    primary key (agent_id, number)
);
