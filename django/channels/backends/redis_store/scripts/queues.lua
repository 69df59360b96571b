-- Queues: their counters, their entries and who waits for them.

-- Return what is known of a queue: its name, and counters as numbers. Other fields
-- are the fourth and so on of what is found.
local function open(queue, ...)
    local hash = P .. 'q:' .. queue
    local found = call('HMGET', hash, 'second', 'sent', 'pending', ...)
    return {
        found = found,
        name = queue,
        hash = hash,
        list = P .. 'l:' .. queue,
        stream = P .. 'i:' .. queue,
        inbox = is_inbox(queue),
        -- What this call adds to the counter of that name.
        refused = 0,
        -- Is this the first call in this second?
        rolled = tonumber(found[1]) ~= second,
        second = tonumber(found[1]) or 0,
        sent = tonumber(found[2]) or 0,
        pending = tonumber(found[3]) or 0
    }
end

local function grow(q, counter, count)
    if count ~= 0 then
        call('HINCRBY', q.hash, counter, count)
        if counter == 'refused' then
            q.refused = q.refused + count
        end
    end
end

-- Store the counters and other fields. Once a second begin the next one, and let
-- all that belongs to the queue live on.
local function save(q, sent, expiry, ...)
    if sent > 0 then
        call('HSET', q.hash, 'sent', q.sent, 'pending', q.pending, ...)
    else
        call('HSET', q.hash, 'pending', q.pending, ...)
    end
    if not q.rolled then
        return
    end
    local began = call('HMGET', q.hash, 'sent_begin', 'refused', 'refused_begin')
    local begin = q.sent - sent
    local refused = tonumber(began[2]) or 0
    local sent_before, refused_before = 0, 0
    if q.second == second - 1 then
        sent_before = begin - (tonumber(began[1]) or 0)
        refused_before = refused - q.refused - (tonumber(began[3]) or 0)
    end
    call('HSET', q.hash, 'second', second, 'sent_begin', begin,
        'refused_begin', refused - q.refused, 'sent_before', sent_before,
        'refused_before', refused_before)
    local memory = memory_of(q.name) + expiry
    call('PEXPIRE', q.hash, memory)
    note('queues', q.name, memory)
    call('PEXPIRE', q.list, memory)
    if q.inbox then
        call('PEXPIRE', q.stream, UNCLAIMED_MS + expiry)
    end
end

-- Return whether the id of an entry comes after another one.
local function is_after(a, b)
    local a1, a2 = string.match(a, '(%d+)-(%d+)')
    local b1, b2 = string.match(b, '(%d+)-(%d+)')
    a1, b1 = tonumber(a1), tonumber(b1)
    if a1 ~= b1 then
        return a1 > b1
    end
    return tonumber(a2) > tonumber(b2)
end

-- Return the number of messages in an entry of an inbox, and their deadline.
local function weigh(entry)
    local count, life = string.match(entry[2][1], '^m (%d+) (%d+)$')
    if not count then
        return 0, nil
    end
    return tonumber(count), tonumber(string.match(entry[1], '%d+')) + life
end

local function deadline_of(element)
    return tonumber(string.sub(element, 1, 15)) or 0
end

local function expire_list(q)
    local gone = 0
    local head = call('LINDEX', q.list, 0)
    while head and deadline_of(head) <= now do
        call('LPOP', q.list)
        gone = gone + 1
        head = call('LINDEX', q.list, 0)
    end
    if not head and not q.inbox then
        -- The list may have ended with its time to live.
        gone = q.pending
    end
    return gone
end

local function expire_stream(q)
    local gone = 0
    local after = call('HGET', q.hash, 'counted') or '0-0'
    while true do
        local entries = call('XRANGE', q.stream, '(' .. after, '+', 'COUNT', 16)
        for _, entry in ipairs(entries) do
            local count, deadline = weigh(entry)
            if deadline and deadline > now then
                return gone
            end
            if deadline then
                call('XDEL', q.stream, entry[1])
                gone = gone + count
            end
            after = entry[1]
        end
        if #entries < 16 then
            return gone
        end
    end
end

-- Remove and count what expired at the head.
local function expire(q)
    local gone = expire_list(q)
    if q.inbox then
        gone = gone + expire_stream(q)
    end
    if gone > 0 then
        q.pending = q.pending - gone
        grow(q, 'expired', gone)
    end
end

-- Return for how many of ``count`` messages there is room.
local function room(q, capacity, count)
    if q.pending + count > capacity and q.pending > 0 then
        expire(q)
    end
    return math.max(math.min(count, capacity - q.pending), 0)
end

-- Append messages of ARGV to a list, the first of them at ``first``.
local function push(q, first, count, expiry)
    local deadline = string.format('%015d', now + expiry)
    local length
    for i = first, first + count - 1, 500 do
        local elements = {}
        for j = i, math.min(i + 499, first + count - 1) do
            elements[#elements + 1] = deadline .. ARGV[j]
        end
        length = call('RPUSH', q.list, unpack(elements))
    end
    if length == count then
        call('PEXPIRE', q.list, MEMORY_MS + expiry)
    end
    q.sent = q.sent + count
    q.pending = q.pending + count
end

-- Append a run of messages to an inbox.
local function add(q, count, run, expiry)
    call('XADD', q.stream, '*', 'm ' .. count .. ' ' .. expiry, run)
    q.sent = q.sent + count
    q.pending = q.pending + count
end

-- Return the first messages of a run: lengths of four bytes each, then all.
local function shorten(run, all, count)
    local length = 0
    for i = 0, count - 1 do
        length = length + struct.unpack('<I4', run, 4 * i + 1)
    end
    local begin = 4 * all + 1
    if count == 1 then
        return string.sub(run, begin, begin + length - 1)
    end
    return string.sub(run, 1, 4 * count) ..
        string.sub(run, begin, begin + length - 1)
end

-- Ring processes that wait for a queue, at most ``count`` that are alive.
local function ring(queue, count)
    while count > 0 do
        local process = call('ZPOPMIN', P .. 'w:' .. queue)[1]
        if not process then
            return
        end
        if call('XADD', P .. 'p:' .. process, 'NOMKSTREAM', 'MAXLEN', '~', 10000,
                '*', 'r', queue) then
            count = count - 1
        end
    end
end

-- Append a control entry to an inbox.
local function control(inbox, mark, payload, expiry)
    local key = P .. 'i:' .. inbox
    call('XADD', key, '*', 'c ' .. mark, payload)
    call('PEXPIRE', key, UNCLAIMED_MS + expiry)
    note('queues', inbox, UNCLAIMED_MS + expiry)
end

-- Let the reader of an inbox look into it by taking.
local function nudge(inbox)
    call('XADD', P .. 'i:' .. inbox, '*', 'w', '')
end
