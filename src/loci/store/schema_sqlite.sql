-- What only SQLite has: full-text indexes and vector rows. All of it is derived and can be rebuilt (see search.py),
-- though vectors cost a call of the embedding model each. A scope is what one search looks through: the messages of an
-- agent, the passages of an archive, or the files of a folder.

create table search_scopes (
    number integer primary key,
    organization_id text not null,
    project_id text,
    subject text not null,
    subject_id text not null,
    generation integer not null,
    through_seq integer not null,
    model integer,
    vectors_through_seq integer not null,
    unique (subject, subject_id)
);

create table search_models (
    number integer primary key,
    name text not null unique
);

create table search_rows (
    scope integer not null references search_scopes (number) on delete cascade,
    seq integer not null,
    role integer not null,
    thread integer not null,
    words integer not null,
    at_us integer not null,
    primary key (scope, seq)
) without rowid;

create table search_vectors (
    scope integer not null references search_scopes (number) on delete cascade,
    model integer not null,
    seq integer not null,
    scale real not null,
    vector blob not null,
    primary key (scope, model, seq)
) without rowid;

create virtual table passage_words using fts5 (
    words, content = '', contentless_delete = 1, detail = none,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mc Mn'"
);

create virtual table message_words using fts5 (
    words, content = '', contentless_delete = 1, detail = none,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mc Mn'"
);

create virtual table chunk_words using fts5 (
    words, content = '', contentless_delete = 1, detail = none,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mc Mn'"
);
