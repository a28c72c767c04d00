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
