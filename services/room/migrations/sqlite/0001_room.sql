-- Rooms, their logs, and the keys that sign guest tokens.
--
-- Why: the first schema. What it locks: nothing that is in use, the tables are new.
-- Times are integers of microseconds since 1970. room_id leads every key, so that a store may be split by room.

create table room (
    id text not null,
    name text not null,
    title text not null,
    topic text not null,
    visibility text not null,
    archived integer not null default 0,
    last_seq integer not null default 0,
    last_at integer not null,                -- when the newest event was committed, or the room made
    message_count integer not null default 0,
    last_message_at integer,
    created_at integer not null,
    created_by text not null,
    request_key text not null,               -- what it was made with; empty for none
    constraint room_pkey primary key (id),
    constraint room_name_unique unique (name),
    constraint room_id_shape check (length(id) = 27),
    constraint room_name_shape check (length(name) between 1 and 64),
    constraint room_archived_flag check (archived in (0, 1)),
    constraint room_time_forward check (last_at >= created_at)
) strict;

create table event (
    room_id text not null,
    seq integer not null,
    kind text not null,
    at integer not null,
    actor_id text not null,
    actor_name text not null,
    actor_guest integer not null,
    request_key text not null,
    key_is_clients integer not null,
    content text,                            -- message
    reply_to integer,                        -- message
    title text,                              -- room_changed
    topic text,                              -- room_changed
    archived integer,                        -- room_changed
    constraint event_pkey primary key (room_id, seq),
    constraint event_key_unique unique (room_id, actor_id, request_key),
    constraint event_room foreign key (room_id) references room (id),
    constraint event_seq_positive check (seq > 0),
    constraint event_key_shape check (length(request_key) between 1 and 64),
    constraint event_flags check (actor_guest in (0, 1) and key_is_clients in (0, 1) and archived in (0, 1)),
    constraint event_message_whole check (kind <> 'message' or content is not null),
    constraint event_room_changed_whole check (
        kind <> 'room_changed' or (title is not null and topic is not null and archived is not null)
    ),
    -- PostgreSQL keeps no U+0000 in a text, so that moving a log there must not find one.
    constraint event_text_without_nul check (content is null or instr(cast(content as blob), x'00') = 0)
) strict, without rowid;

create table guest_key (
    id integer not null,
    secret blob not null,
    created_at integer not null,
    constraint guest_key_pkey primary key (id),
    constraint guest_key_secret_shape check (length(secret) = 32)
) strict;
