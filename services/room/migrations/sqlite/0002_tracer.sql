-- What proves that each writer still commits.
--
-- Why: readiness is proved by an update that goes through each writer's queue and commit (P13). A row a writer, shared by
-- all replicas. What it locks: nothing that is in use, the table is new.

create table tracer (
    writer integer not null,
    at integer not null,                     -- when it was last proved
    constraint tracer_pkey primary key (writer)
) strict;
