create table scheduled_messages (
    id text primary key,
    organization_id text not null,
    project_id text,
    agent_id text not null references agents (id) on delete cascade,
    asked text not null,
    schedule text not null,
    due_at text not null,
    created_at text not null
);
create index scheduled_messages_by_agent on scheduled_messages (agent_id, created_at, id);
