-- What proves that each writer still commits.
--
-- Why: readiness is proved by an update that goes through each writer's queue and commit (P13). A row a writer, shared by
-- all replicas. What it locks: nothing that is in use, the table is new.

create table tracer (
    writer bigint not null,
    at bigint not null,                     -- when it was last proved
    constraint tracer_pkey primary key (writer)
) with (fillfactor = 50);                    -- updated every second: leave it room on its page
