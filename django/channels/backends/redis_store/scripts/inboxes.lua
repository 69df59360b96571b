-- What the reader of an inbox has got, and what it has acknowledged.

-- Return the id that comes next after one.
local function next_id(id)
    local ms, serial = string.match(id, '(%d+)-(%d+)')
    return ms .. '-' .. string.format('%d', tonumber(serial) + 1)
end

-- Count the messages of entries that were not counted yet; return how many.
local function count_new(q, entries, counted)
    local delivered, expired = 0, 0
    for _, entry in ipairs(entries) do
        if is_after(entry[1], counted) then
            local count, deadline = weigh(entry)
            if deadline and deadline <= now then
                expired = expired + count
            else
                delivered = delivered + count
            end
        end
    end
    grow(q, 'delivered', delivered)
    grow(q, 'expired', expired)
    q.pending = q.pending - delivered - expired
    call('HSET', q.hash, 'counted', entries[#entries][1], 'pending', q.pending)
    return delivered
end

-- Remove what the reader has, up to its cursor; count what was not counted.
-- Return up to where it is counted.
local function settle(q, cursor, counted)
    local entries = {}
    local behind = is_after(cursor, counted)
    if behind then
        entries = call('XRANGE', q.stream, '(' .. counted, cursor)
    end
    -- Before anything that needs memory: readers make room where there is none.
    call('XTRIM', q.stream, 'MINID', next_id(cursor))
    if #entries > 0 then
        count_new(q, entries, counted)
    end
    if behind then
        call('HSET', q.hash, 'counted', cursor)
    end
    return behind and cursor or counted
end

-- Make somebody the reader. What the reader before may have got is delivered.
-- Return where the new one begins.
local function take_over(q, reader, counted, expiry)
    local made = redis.pcall('XGROUP', 'CREATE', q.stream, 'r', '0', 'MKSTREAM')
    local last = '0-0'
    if not made.err then
        counted = '0-0'
    else
        local info = call('XINFO', 'GROUPS', q.stream)[1]
        for i = 1, #info, 2 do
            if info[i] == 'last-delivered-id' then
                last = info[i + 1]
            end
        end
        if is_after(counted, last) then
            last = counted
        end
    end
    call('HSET', q.hash, 'reader', reader)
    settle(q, last, counted)
    call('HSET', q.hash, 'counted', last)
    call('PEXPIRE', q.hash, MEMORY_MS + expiry)
    call('PEXPIRE', q.stream, UNCLAIMED_MS + expiry)
    return last
end
