-- Take from queues in their order; if there is nothing, wait for them.
-- Uses: queues inboxes
-- ARGV: reader, sender, number, whether it is repeated, limit, incarnation that
-- waits or '', expiry in ms, and for each queue: its name and the reader's cursor.
-- Returns now and lists: index of the queue, kind, and what that kind has:
--   l (elements of a list), s (entries of a stream), c (the cursor to go on
--   from), m (groups and how many messages each missed).
local reader, sender, number, again = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, incarnation, expiry = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
-- How many entries of an inbox are read at a time: each may be a long run.
local CHUNK = 16
local reply = {now}
local is_kept = false
local messages = 0
local found_any = false

local function put(index, kind, value)
    reply[#reply + 1] = {index, kind, value}
    if kind ~= 'c' then
        found_any = true
    end
end

-- Keep what is taken out, should the call be repeated.
local function keep(index, kind, texts)
    local key = P .. 'k:' .. sender
    if not is_kept then
        is_kept = true
        call('DEL', key)
    end
    call('RPUSH', key, index, kind, #texts)
    for i = 1, #texts, 500 do
        call('RPUSH', key, unpack(texts, i, math.min(i + 499, #texts)))
    end
end

local last = call('GET', P .. 't:' .. sender)
local repeated = last and tonumber(last) >= tonumber(number)

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
        keep(index, 'l', taken)
    end
end

local function take_inbox(q, index, cursor)
    local found = call('HMGET', q.hash, 'reader', 'counted', 'missed')
    local counted = found[2] or '0-0'
    if found[1] ~= reader then
        cursor = take_over(q, reader, counted, expiry)
        counted = cursor
        put(index, 'c', cursor)
    elseif cursor == '' then
        -- Another thread of this process has just become the reader.
        cursor = counted
        put(index, 'c', cursor)
    else
        counted = settle(q, cursor, counted)
    end
    -- What was missed comes after all that waits.
    local enough = found[3] and math.huge or limit
    repeat
        local size = math.min(math.max(enough - messages, 1), CHUNK)
        local entries = call('XRANGE', q.stream, '(' .. cursor, '+', 'COUNT', size)
        if #entries > 0 then
            messages = messages + count_new(q, entries, counted)
            cursor = entries[#entries][1]
            put(index, 's', entries)
        end
        local is_all = #entries < size
        if is_all and #entries > 0 then
            redis.pcall('XGROUP', 'SETID', q.stream, 'r', cursor)
        end
    until is_all or messages >= enough
    if found[3] and not repeated then
        local missed = call('HGETALL', P .. 'm:' .. q.name)
        put(index, 'm', missed)
        keep(index, 'm', missed)
        call('DEL', P .. 'm:' .. q.name)
        call('HDEL', q.hash, 'missed')
    end
end

-- Put what the first try took: messages first, and last what was missed.
local function put_again(kind)
    local words = call('LRANGE', P .. 'k:' .. sender, 0, -1)
    local i = 1
    while words[i] do
        local last = i + 2 + words[i + 2]
        if words[i + 1] == kind then
            local texts = {}
            for j = i + 3, last do
                texts[#texts + 1] = words[j]
            end
            put(tonumber(words[i]), kind, texts)
        end
        i = last + 1
    end
end

if repeated and last == number then
    put_again('l')
end
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
if repeated and last == number then
    put_again('m')
end
if (is_kept or again == '1') and not repeated then
    call('PEXPIRE', P .. 'k:' .. sender, REPEAT_MS)
    call('SET', P .. 't:' .. sender, number, 'PX', REPEAT_MS)
    if not is_kept then
        call('DEL', P .. 'k:' .. sender)
    end
end
if incarnation ~= '' and not found_any then
    for i = 8, #ARGV, 2 do
        if not is_inbox(ARGV[i]) then
            local key, memory = P .. 'w:' .. ARGV[i], memory_of(ARGV[i])
            call('ZADD', key, 'NX', now, incarnation)
            call('PEXPIRE', key, memory)
            note('queues', ARGV[i], memory)
        end
    end
end
return reply
