create index journal_by_change on journal (change_set_id) where change_set_id is not null;
