alter table traces add column base_id text;
alter table traces add column head_bytes integer;
alter table traces add column tail_bytes integer;
create index traces_by_base on traces (base_id) where base_id is not null;

create table trace_bases (
    id text primary key,
    organization_id text not null,
    project_id text,
    body {{blob}} not null,
    created_at text not null
);
