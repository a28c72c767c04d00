-- For whom work in the background and runs are done, so that they go on in that user's name.

alter table jobs add column created_by text;
alter table runs add column created_by text;
