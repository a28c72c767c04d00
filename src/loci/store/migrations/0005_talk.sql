alter table conversations add column description text;
alter table conversations add column window_tokens integer;
alter table conversations add column archived_at text;
alter table conversations add column deleted_at text;
alter table steps add column transaction_id text;

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
    created_at text not null
);
create index traces_by_run on traces (run_id, seq);
create index traces_by_step on traces (step_id) where step_id is not null;
create index traces_by_time on traces (created_at);

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
