create table agent_groups (
    id text primary key,
    organization_id text not null,
    project_id text,
    manager_type text not null,
    manager_agent_id text references agents (id) on delete cascade,
    description text not null,
    shared_block_ids text not null,
    max_turns integer,
    termination_token text,
    sleeptime_agent_frequency integer,
    turns_counter integer,
    last_processed_message_id text,
    max_message_buffer_length integer,
    min_message_buffer_length integer,
    hidden integer,
    template_id text,
    base_template_id text,
    deployment_id text,
    created_at text not null
);
create index agent_groups_by_time on agent_groups (organization_id, created_at, id);
create index agent_groups_by_manager on agent_groups (manager_agent_id);

create table group_agents (
    group_id text not null references agent_groups (id) on delete cascade,
    agent_id text not null references agents (id) on delete cascade,
    organization_id text not null,
    project_id text,
    position integer not null,
    primary key (group_id, agent_id)
);
create index group_agents_by_agent on group_agents (agent_id);

create table group_threads (
    group_id text not null references agent_groups (id) on delete cascade,
    agent_id text not null references agents (id) on delete cascade,
    conversation_id text not null references conversations (id) on delete cascade,
    organization_id text not null,
    project_id text,
    primary key (group_id, agent_id)
);
