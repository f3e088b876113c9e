-- Rooms, their logs, and the keys that sign guest tokens.
--
-- Why: the first schema. What it locks: nothing that is in use, the tables are new.
-- Times are integers of microseconds since 1970. room_id leads every key, so that a store may be split by room.
-- Ids, names and keys compare by their bytes, so that no change of the system's collations can harm an index.

create table room (
    id text collate "C" not null,
    name text collate "C" not null,
    title text not null,
    topic text not null,
    visibility text not null,
    archived boolean not null default false,
    last_seq bigint not null default 0,
    last_at bigint not null,                 -- when the newest event was committed, or the room made
    message_count bigint not null default 0,
    last_message_at bigint,
    created_at bigint not null,
    created_by text collate "C" not null,
    request_key text collate "C" not null,   -- what it was made with; empty for none
    constraint room_pkey primary key (id),
    constraint room_name_unique unique (name),
    constraint room_id_shape check (length(id) = 27),
    constraint room_name_shape check (length(name) between 1 and 64),
    constraint room_time_forward check (last_at >= created_at)
) with (fillfactor = 70);                    -- every append updates its room's row: leave it room on its page

create table event (
    room_id text collate "C" not null,
    seq bigint not null,
    kind text collate "C" not null,
    at bigint not null,
    actor_id text collate "C" not null,
    actor_name text not null,
    actor_guest boolean not null,
    request_key text collate "C" not null,
    key_is_clients boolean not null,
    content text,                            -- message
    reply_to bigint,                         -- message
    title text,                              -- room_changed
    topic text,                              -- room_changed
    archived boolean,                        -- room_changed
    constraint event_pkey primary key (room_id, seq),
    constraint event_key_unique unique (room_id, actor_id, request_key),
    constraint event_room foreign key (room_id) references room (id),
    constraint event_seq_positive check (seq > 0),
    constraint event_key_shape check (length(request_key) between 1 and 64),
    constraint event_message_whole check (kind <> 'message' or content is not null),
    constraint event_room_changed_whole check (
        kind <> 'room_changed' or (title is not null and topic is not null and archived is not null)
    )
);

create table guest_key (
    id bigint not null,
    secret bytea not null,
    created_at bigint not null,
    constraint guest_key_pkey primary key (id),
    constraint guest_key_secret_shape check (length(secret) = 32)
);
