-- How a batch of drafts is appended: one function, which the room service calls.
--
-- Why: a server plans the statements of a function once a connection, and plans anew whatever is sent to it; for a small
-- batch that is most of the work. (A statement prepared by name would do as well, but not behind a transaction pooler.)
-- What it locks: nothing that is in use, the function is new.
--
-- Appends the first drafts of their keys, at most one change a room and that one last of its room, and answers each in
-- their order. `of_rooms` are the rooms of the whole batch: they are locked first, in the order of their ids, so that two
-- batches never wait for each other; and since each statement of a function sees what was committed before it began, the
-- second sees what the lock waited for. (Where another isolation than read committed is the default, it is refused, and
-- given again.) With `free_only` a room that another replica holds is not waited for.

create function append_events(
    of_rooms text[],
    free_only boolean,
    room_ids text[],
    actor_ids text[],
    actor_names text[],
    actor_guests boolean[],
    request_keys text[],
    keys_are_clients boolean[],
    kinds text[],
    contents text[],
    reply_tos bigint[],
    titles text[],
    topics text[],
    archiveds boolean[]
) returns table (
    n bigint,
    answer text,
    prev_at bigint,
    seq bigint,
    at bigint,
    kind text,
    actor_id text,
    actor_name text,
    actor_guest boolean,
    request_key text,
    key_is_clients boolean,
    content text,
    reply_to bigint,
    title text,
    topic text,
    archived boolean
)
language plpgsql
set lock_timeout = '500ms'
-- Planned once, whatever a batch holds; and rows are found by their keys, of tables that are not counted yet, too.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set random_page_cost = 1.1
as $$
#variable_conflict use_column
begin
    if free_only then
        perform from room where id = any (of_rooms) order by id for no key update skip locked;
    else
        perform from room where id = any (of_rooms) order by id for no key update;
    end if;
    return query
        with clock as materialized (
            select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now
        ),
        draft as (
            select *
            from unnest(
                room_ids, actor_ids, actor_names, actor_guests, request_keys, keys_are_clients,
                kinds, contents, reply_tos, titles, topics, archiveds
            ) with ordinality as d (
                room_id, actor_id, actor_name, actor_guest, request_key, key_is_clients,
                kind, content, reply_to, title, topic, archived, n
            )
        ),
        -- What is locked already is not skipped; what another replica holds is, and its drafts are answered so.
        held as materialized (
            select id, last_seq, last_at, archived
            from room
            where id = any (of_rooms)
            order by id
            for no key update skip locked
        ),
        judged as (
            select
                d.*,
                k as known,
                case
                    when k.seq is not null then 'repeat'
                    when not h.archived then 'new'
                    when h.archived then 'archived'
                    when exists (select from room r where r.id = d.room_id) then 'held'
                    else 'missing'
                end as answer,
                h.last_seq,
                h.last_at
            from draft d
            left join held h on h.id = d.room_id
            left join lateral (
                select *
                from event e
                where e.room_id = d.room_id and e.actor_id = d.actor_id and e.request_key = d.request_key
                limit 1
            ) k on true
        ),
        numbered as (
            select *, row_number() over (partition by room_id, answer order by n) as nth
            from judged
        ),
        placed as materialized (
            select
                d.*,
                d.last_seq + nth as seq,
                greatest(d.last_at, clock.now - 1) + nth as at,
                case nth when 1 then d.last_at else greatest(d.last_at, clock.now - 1) + nth - 1 end as prev_at
            from numbered d
            cross join clock
        ),
        written as (
            insert into event (
                room_id, seq, kind, at, actor_id, actor_name, actor_guest, request_key, key_is_clients,
                content, reply_to, title, topic, archived
            )
            select
                room_id, seq, kind, at, actor_id, actor_name, actor_guest, request_key, key_is_clients,
                content, reply_to, title, topic, archived
            from placed
            where answer = 'new'
        ),
        moved as (
            update room r
            set
                last_seq = f.last_seq,
                last_at = f.last_at,
                message_count = r.message_count + f.messages,
                last_message_at = coalesce(f.last_message_at, r.last_message_at),
                title = coalesce(f.title, r.title),
                topic = coalesce(f.topic, r.topic),
                archived = coalesce(f.archived, r.archived)
            from (
                select
                    room_id,
                    max(seq) as last_seq,
                    max(at) as last_at,
                    count(*) filter (where kind = 'message') as messages,
                    max(at) filter (where kind = 'message') as last_message_at,
                    max(title) as title,
                    max(topic) as topic,
                    bool_or(archived) as archived
                from placed
                where answer = 'new'
                group by room_id
            ) f
            where r.id = f.room_id
        )
        select
            n, answer, prev_at,
            case answer when 'new' then seq else (known).seq end,
            case answer when 'new' then at else (known).at end,
            (known).kind, (known).actor_id, (known).actor_name, (known).actor_guest, (known).request_key,
            (known).key_is_clients, (known).content, (known).reply_to, (known).title, (known).topic,
            (known).archived
        from placed
        order by n;
end
$$;
