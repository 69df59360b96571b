-- Return the counters of queues.
-- Uses: queues
-- ARGV: expiry in ms, and for each queue its name.
-- Returns for each queue: sent, delivered, dropped, expired, refused, pending,
-- sent and refused in the last second, the oldest message's age in ms, and how
-- many processes wait; an empty list if there is nothing.
local all = {}

-- Return how much grew in the last second, a part of the one before included.
local function rate(count, begin, before, at)
    if at == second then
        return count - begin + math.ceil(before * (1000 - now % 1000) / 1000)
    elseif at == second - 1 then
        return math.ceil((count - begin) * (1000 - now % 1000) / 1000)
    end
    return 0
end

-- Return how many processes wait that have a lease. An inbox has the one that
-- claimed it, as long as that lives: what it reads with is not noted anywhere.
local function count_waiting(q)
    local waiting
    if q.inbox then
        waiting = {call('GET', P .. 'o:' .. q.name) or nil}
    else
        waiting = call('ZRANGE', P .. 'w:' .. q.name, 0, -1)
    end
    local alive = 0
    for _, incarnation in ipairs(waiting) do
        alive = alive + call('EXISTS', P .. 'p:' .. incarnation)
    end
    return alive
end

-- Return when the oldest message came.
local function oldest(q, expiry)
    if q.pending == 0 then
        return now
    end
    local head = call('LINDEX', q.list, 0)
    if head then
        return deadline_of(head) - expiry
    end
    local after = call('HGET', q.hash, 'counted') or '0-0'
    for _, entry in ipairs(
        q.inbox and call('XRANGE', q.stream, '(' .. after, '+', 'COUNT', 50) or {}
    ) do
        if weigh(entry) > 0 then
            return tonumber(string.match(entry[1], '%d+'))
        end
    end
    return now
end

for i = 2, #ARGV do
    local q = open(ARGV[i])
    if q.pending > 0 then
        expire(q)
        call('HSET', q.hash, 'pending', q.pending)
    end
    local c = call('HMGET', q.hash, 'delivered', 'dropped', 'expired', 'refused',
        'sent_begin', 'sent_before', 'refused_begin', 'refused_before')
    for j = 1, 8 do
        c[j] = tonumber(c[j]) or 0
    end
    all[#all + 1] = {
        q.sent, c[1], c[2], c[3], c[4], q.pending,
        rate(q.sent, c[5], c[6], q.second),
        rate(c[4], c[7], c[8], q.second),
        math.max(now - oldest(q, tonumber(ARGV[1])), 0),
        count_waiting(q)
    }
end
return all
