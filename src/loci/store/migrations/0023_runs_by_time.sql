-- Lists of runs read their page, and filters know how many they have to look at.
drop index runs_by_agent;
drop index runs_by_conversation;
drop index runs_unfinished;
create index runs_by_agent on runs (agent_id, organization_id, created_at, id);
create index runs_by_conversation on runs (conversation_id, organization_id, created_at, id);
create index runs_by_time on runs (organization_id, created_at, id);
create index runs_unfinished on runs (organization_id, created_at, id) where completed_at is null;
create index runs_unfinished_by_agent on runs (agent_id, organization_id, created_at, id) where completed_at is null;
