-- No type of provider that can be brought has these.
alter table providers drop column access_key;
alter table providers drop column region;
alter table providers drop column api_version;
