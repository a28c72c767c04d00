-- The whole schema as a fresh database gets it. Tokens in double braces differ by dialect (see schema.py).
-- Every table carries organization_id; rows of another organisation do not exist for an actor.

create table meta (
    key text primary key,
    organization_id text,
    project_id text,
    value text not null
);

create table agents (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    agent_type text not null,
    system text not null,
    model text not null,
    embedding text,
    description text,
    tool_rules text not null,
    model_settings text not null,
    compaction_settings text not null,
    response_format text,
    context_window_tokens integer not null,
    tool_exec_environment text not null,
    metadata text not null,
    timezone text not null,
    message_buffer_autoclear integer not null,
    enable_sleeptime integer,
    hidden integer,
    max_files_open integer not null,
    per_file_view_window_limit_chars integer not null,
    template_id text,
    base_template_id text,
    deployment_id text,
    entity_id text,
    memory_version integer not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    updated_by text,
    deleted_at text
);
create index agents_by_time on agents (organization_id, created_at, id);
create index agents_by_name on agents (organization_id, name);

create table agent_tags (
    agent_id text not null references agents (id) on delete cascade,
    organization_id text not null,
    project_id text,
    tag text not null,
    primary key (agent_id, tag)
);
create index agent_tags_by_tag on agent_tags (organization_id, tag);

create table blocks (
    id text primary key,
    organization_id text not null,
    project_id text,
    label text not null,
    value text not null,
    description text,
    limit_chars integer not null,
    read_only integer not null,
    hidden integer,
    tags text not null,
    metadata text not null,
    template_name text,
    is_template integer not null,
    version integer not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    updated_by text,
    deleted_at text
);
create index blocks_by_time on blocks (organization_id, created_at, id);
create index blocks_by_label on blocks (organization_id, label);

create table agent_blocks (
    agent_id text not null references agents (id) on delete cascade,
    block_id text not null references blocks (id) on delete cascade,
    organization_id text not null,
    project_id text,
    label text not null,
    position integer not null,
    primary key (agent_id, block_id),
    unique (agent_id, label)
);
create index agent_blocks_by_block on agent_blocks (block_id);

create table tools (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    tool_type text not null,
    description text not null,
    json_schema text not null,
    tags text not null,
    source_code text,
    source_type text not null,
    args_json_schema text,
    return_limit_chars integer not null,
    pip_requirements text not null,
    npm_requirements text not null,
    default_requires_approval integer not null,
    enable_parallel_execution integer not null,
    metadata text not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    unique (organization_id, name)
);

create table agent_tools (
    agent_id text not null references agents (id) on delete cascade,
    tool_id text not null references tools (id) on delete cascade,
    organization_id text not null,
    project_id text,
    position integer not null,
    primary key (agent_id, tool_id)
);
create index agent_tools_by_tool on agent_tools (tool_id);

create table conversations (
    id text primary key,
    organization_id text not null,
    project_id text,
    agent_id text not null references agents (id) on delete cascade,
    is_default integer not null,
    prefix text not null,
    after_seq integer not null,
    compiled_version integer not null,
    context_version integer not null,
    busy_run_id text,
    warned integer not null,
    prompt_tokens_last integer not null,
    summary text,
    model text,
    model_settings text,
    hidden integer,
    isolated_block_ids text not null,
    created_at text not null,
    updated_at text not null,
    created_by text,
    description text,
    window_tokens integer,
    archived_at text,
    deleted_at text
);
create index conversations_by_agent on conversations (agent_id, created_at);
create index conversations_busy on conversations (busy_run_id) where busy_run_id is not null;

create table messages (
    seq {{serial}},
    id text not null unique,
    organization_id text not null,
    project_id text,
    agent_id text not null references agents (id) on delete cascade,
    conversation_id text not null references conversations (id) on delete cascade,
    role text not null,
    kind text not null,
    trust text not null,
    parts text not null,
    name text,
    otid text,
    sender_id text,
    run_id text,
    step_id text,
    model text,
    extra text,
    created_at text not null
);
create index messages_by_conversation on messages (conversation_id, seq);
create index messages_by_agent on messages (agent_id, seq);
create index messages_by_run on messages (run_id, seq) where run_id is not null;
create unique index messages_by_otid on messages (conversation_id, otid) where otid is not null;

create table runs (
    id text primary key,
    organization_id text not null,
    project_id text,
    agent_id text not null references agents (id) on delete cascade,
    conversation_id text not null references conversations (id) on delete cascade,
    status text not null,
    stop_reason text,
    background integer not null,
    request text not null,
    metadata text not null,
    callback_url text,
    usage text not null,
    step_count integer not null,
    error text,
    ttft_ns integer,
    total_duration_ns integer,
    cancel_requested integer not null,
    created_at text not null,
    completed_at text,
    created_by text
);
create index runs_by_agent on runs (agent_id, organization_id, created_at, id);
create index runs_by_conversation on runs (conversation_id, organization_id, created_at, id);
create index runs_by_time on runs (organization_id, created_at, id);
create index runs_unfinished on runs (organization_id, created_at, id) where completed_at is null;
create index runs_unfinished_by_agent on runs (agent_id, organization_id, created_at, id) where completed_at is null;

create table steps (
    id text primary key,
    organization_id text not null,
    project_id text,
    run_id text not null references runs (id) on delete cascade,
    agent_id text not null,
    conversation_id text not null,
    number integer not null,
    model text not null,
    provider text not null,
    usage text not null,
    context_window_tokens integer not null,
    status text not null,
    stop_reason text,
    error text,
    feedback text,
    tags text not null,
    duration_ns integer not null,
    model_duration_ns integer not null,
    tools_duration_ns integer not null,
    created_at text not null,
    transaction_id text
);
create index steps_by_run on steps (run_id, number);
create index steps_by_agent on steps (agent_id, created_at);

create table run_events (
    run_id text not null references runs (id) on delete cascade,
    seq_id integer not null,
    organization_id text not null,
    project_id text,
    body text not null,
    primary key (run_id, seq_id)
);

create table approvals (
    call_id text not null,
    run_id text not null references runs (id) on delete cascade,
    organization_id text not null,
    project_id text,
    conversation_id text not null,
    agent_id text not null,
    message_id text not null,
    tool_name text not null,
    arguments text not null,
    kind text not null,
    status text not null,
    answer text,
    created_at text not null,
    answered_at text,
    primary key (run_id, call_id)
);
create index approvals_by_conversation on approvals (conversation_id, status);

create table archives (
    seq {{serial}},
    id text not null unique,
    organization_id text not null,
    project_id text,
    name text not null,
    description text,
    embedding text,
    metadata text not null,
    created_at text not null,
    updated_at text not null,
    created_by text
);

create table agent_archives (
    agent_id text not null references agents (id) on delete cascade,
    archive_id text not null references archives (id) on delete cascade,
    organization_id text not null,
    project_id text,
    is_owner integer not null,
    created_at text not null,
    primary key (agent_id, archive_id)
);
create index agent_archives_by_archive on agent_archives (archive_id);

create table passages (
    seq {{serial}},
    id text not null unique,
    organization_id text not null,
    project_id text,
    archive_id text not null references archives (id) on delete cascade,
    text text not null,
    tags text not null,
    metadata text not null,
    trust text not null,
    created_at text not null,
    updated_at text not null,
    created_by text
);
create index passages_by_archive on passages (archive_id, seq);
create index passages_by_time on passages (archive_id, created_at);

create table passage_tags (
    archive_id text not null,
    tag text not null,
    passage_seq integer not null,
    organization_id text not null,
    project_id text,
    primary key (archive_id, tag, passage_seq)
);
create index passage_tags_by_passage on passage_tags (passage_seq);

create table journal (
    seq {{serial}},
    organization_id text not null,
    project_id text,
    at text not null,
    subject text not null,
    subject_id text not null,
    agent_id text,
    action text not null,
    before text,
    after text,
    actor_kind text not null,
    actor_id text not null,
    trust text not null,
    run_id text,
    step_id text,
    tool_call_id text,
    source_message_id text,
    change_set_id text,
    reason text
);
create index journal_by_subject on journal (subject, subject_id, seq);
create index journal_by_agent on journal (agent_id, seq);

create table jobs (
    id text primary key,
    organization_id text not null,
    project_id text,
    kind text not null,
    subject_id text,
    payload text not null,
    status text not null,
    attempts integer not null,
    run_at text not null,
    lease_until text,
    error text,
    created_at text not null,
    completed_at text,
    created_by text
);
create index jobs_due on jobs (status, run_at);
create unique index jobs_once on jobs (kind, subject_id) where status in ('pending', 'running') and subject_id is not null;

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

create index journal_by_change on journal (change_set_id) where change_set_id is not null;

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

create table traces (
    seq {{serial}},
    id text not null unique,
    organization_id text not null,
    project_id text,
    run_id text not null references runs (id) on delete cascade,
    agent_id text not null,
    step_id text,
    call_type text not null,
    model text not null,
    request {{blob}} not null,
    response {{blob}} not null,
    size_bytes integer not null,
    duration_ns integer not null,
    created_at text not null,
    base_id text,
    head_bytes integer,
    tail_bytes integer
);
create index traces_by_run on traces (run_id, seq);
create index traces_by_step on traces (step_id) where step_id is not null;
create index traces_by_time on traces (created_at);
create index traces_by_base on traces (base_id) where base_id is not null;

create table trace_bases (
    id text primary key,
    organization_id text not null,
    project_id text,
    body {{blob}} not null,
    created_at text not null
);

create table message_batches (
    id text primary key,
    organization_id text not null,
    project_id text,
    status text not null,
    callback_url text,
    created_at text not null,
    completed_at text,
    created_by text
);
create index message_batches_by_time on message_batches (organization_id, created_at, id);

create table message_batch_items (
    batch_id text not null references message_batches (id) on delete cascade,
    number integer not null,
    organization_id text not null,
    project_id text,
    agent_id text not null,
    request text not null,
    status text not null,
    run_id text,
    error text,
    primary key (batch_id, number)
);
create index message_batch_items_by_run on message_batch_items (run_id) where run_id is not null;

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

create table conversation_blocks (
    conversation_id text not null references conversations (id) on delete cascade,
    block_id text not null references blocks (id) on delete cascade,
    agent_id text not null,
    organization_id text not null,
    project_id text,
    primary key (conversation_id, block_id)
);
create index conversation_blocks_by_block on conversation_blocks (block_id);

create index conversations_deleted on conversations (id) where deleted_at is not null;

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

create table providers (
    id text primary key,
    organization_id text not null,
    project_id text,
    name text not null,
    provider_type text not null,
    api_key text,
    base_url text,
    created_at text not null,
    updated_at text not null,
    last_synced_at text,
    created_by text,
    updated_by text
);
create unique index providers_by_name on providers (organization_id, name);

create index deployments_by_template on deployments (template_id);
