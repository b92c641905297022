-- Keys are bytes: they compare as `Store::list` promises whatever the database's collation is, and may hold any character.
CREATE TABLE records (
    collection TEXT COLLATE "C" NOT NULL,
    key BYTEA NOT NULL,
    version BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (collection, key)
);
