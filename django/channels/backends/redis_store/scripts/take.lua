-- Take from queues in their order; if there is nothing, wait for them.
-- Uses: queues inboxes
-- ARGV: reader, sender, number, whether it is repeated, limit, incarnation that
-- waits or '', expiry in ms, and for each queue: its name and the reader's cursor.
-- Returns now and lists: index of the queue, kind, and what that kind has:
--   l (elements of a list), s (entries of a stream), c (the cursor to go on
--   from), m (groups and how many messages each missed).
local reader, sender, number, again = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, incarnation, expiry = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local reply = {now}
local kept = {}
local messages = 0
local found_any = false

local function put(index, kind, value)
    reply[#reply + 1] = {index, kind, value}
    if kind ~= 'c' then
        found_any = true
    end
    if kind == 'l' or kind == 'm' then
        kept[#kept + 1] = reply[#reply]
    end
end

local record = call('GET', P .. 'r:' .. sender)
local repeated
if record then
    record = cmsgpack.unpack(record)
    if tonumber(record[1]) >= tonumber(number) then
        repeated = record[2]
    end
end

local function take_list(q, index)
    local taken = {}
    while messages < limit do
        local popped = call('LPOP', q.list, limit - messages)
        if not popped then
            if not q.inbox and q.pending > 0 then
                grow(q, 'expired', q.pending)
                q.pending = 0
            end
            break
        end
        local expired = 0
        for _, element in ipairs(popped) do
            if deadline_of(element) > now then
                taken[#taken + 1] = element
                messages = messages + 1
            else
                expired = expired + 1
            end
        end
        q.pending = q.pending - #popped
        grow(q, 'expired', expired)
    end
    if #taken > 0 then
        grow(q, 'delivered', #taken)
        put(index, 'l', taken)
    end
end

local function take_inbox(q, index, cursor)
    local found = call('HMGET', q.hash, 'reader', 'counted', 'missed')
    local counted = found[2] or '0-0'
    if found[1] ~= reader or cursor == '' then
        cursor = take_over(q, reader, counted, expiry)
        counted = cursor
        put(index, 'c', cursor)
    else
        counted = settle(q, cursor, counted)
    end
    -- What was missed comes after all that waits.
    local count = found[3] and 10000 or math.max(limit - messages, 1)
    local entries = call('XRANGE', q.stream, '(' .. cursor, '+', 'COUNT', count)
    if #entries > 0 then
        messages = messages + count_new(q, entries, counted)
        local last = entries[#entries][1]
        if #entries < count then
            redis.pcall('XGROUP', 'SETID', q.stream, 'r', last)
        end
        put(index, 's', entries)
    end
    if found[3] and #entries < count and not repeated then
        put(index, 'm', call('HGETALL', P .. 'm:' .. q.name))
        call('DEL', P .. 'm:' .. q.name)
        call('HDEL', q.hash, 'missed')
    end
end

-- Put what the first try took: messages first, and last what was missed.
local function put_again(kind)
    for _, item in ipairs(repeated or {}) do
        if item[2] == kind then
            found_any = true
            reply[#reply + 1] = item
        end
    end
end

put_again('l')
local index = 0
for i = 8, #ARGV, 2 do
    if messages < limit and (is_inbox(ARGV[i]) or not repeated) then
        local q = open(ARGV[i])
        if not repeated and (not q.inbox or q.pending > 0) then
            take_list(q, index)
        end
        if q.inbox then
            take_inbox(q, index, ARGV[i + 1])
        end
        if found_any or (q.rolled and q.second > 0) then
            save(q, 0, expiry)
        end
        if q.pending > 0 and not q.inbox then
            ring(q.name, 1)
        end
    end
    index = index + 1
end
put_again('m')
if #kept > 0 or (again == '1' and not repeated) then
    local result = cmsgpack.pack({number, kept})
    call('SET', P .. 'r:' .. sender, result, 'PX', REPEAT_MS)
end
if incarnation ~= '' and not found_any then
    for i = 8, #ARGV, 2 do
        if not is_inbox(ARGV[i]) then
            local key = P .. 'w:' .. ARGV[i]
            call('ZADD', key, 'NX', now, incarnation)
            call('PEXPIRE', key, MEMORY_MS)
            note('queues', ARGV[i], MEMORY_MS)
        end
    end
end
return reply
