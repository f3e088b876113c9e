-- Appends the first drafts of their keys, at most one change a room and that one last of its room, and answers each.
-- Runs after the rooms were locked in the same transaction, so that its snapshot sees what the lock waited for.
with draft as (
    select *
    from unnest(
        $1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::boolean[],
        $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::boolean[]
    ) with ordinality as d (
        room_id, actor_id, actor_name, actor_guest, request_key, key_is_clients,
        kind, content, reply_to, title, topic, archived, n
    )
),
-- What is locked already is not skipped; what another replica holds is, and its drafts are answered so.
held as materialized (
    select id, last_seq, last_at, archived
    from room
    where id = any ($1)
    order by id
    for no key update skip locked
),
known as materialized (
    select d.n, e.*
    from draft d
    cross join lateral (
        select *
        from event
        where room_id = d.room_id and actor_id = d.actor_id and request_key = d.request_key
        limit 1
    ) e
),
clock as materialized (
    select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now
),
fresh as materialized (
    select
        d.*,
        h.last_seq + d.nth as seq,
        greatest(h.last_at, clock.now - 1) + d.nth as at,
        case d.nth when 1 then h.last_at else greatest(h.last_at, clock.now - 1) + d.nth - 1 end as prev_at
    from (
        select d.*, row_number() over (partition by d.room_id order by d.n) as nth
        from draft d
        where not exists (select from known k where k.n = d.n)
    ) d
    join held h on h.id = d.room_id and not h.archived
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
    from fresh
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
        from fresh
        group by room_id
    ) f
    where r.id = f.room_id
)
select
    d.n,
    case
        when k.n is not null then 'repeat'
        when f.n is not null then 'new'
        when h.archived then 'archived'
        when exists (select from room r where r.id = d.room_id) then 'held'
        else 'missing'
    end as answer,
    f.prev_at,
    coalesce(k.seq, f.seq) as seq,
    coalesce(k.at, f.at) as at,
    k.kind, k.actor_id, k.actor_name, k.actor_guest, k.request_key, k.key_is_clients,
    k.content, k.reply_to, k.title, k.topic, k.archived
from draft d
left join known k on k.n = d.n
left join fresh f on f.n = d.n
left join held h on h.id = d.room_id
order by d.n
