-- Keys in the order in which they were made.
--
-- Why: by actor first, the keys of those who speak in a room lie far apart, and each message of a commit touches a page or
-- two of the index that none beside it does. Keys made here begin with the time; by key first they are neighbours.
-- What it locks: the events, while the index is made.

alter table event
    drop constraint event_key_unique,
    add constraint event_key_unique unique (room_id, request_key, actor_id);
