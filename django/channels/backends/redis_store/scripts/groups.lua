-- Groups: a hash of inboxes and plain channels to "count capacity until owner".
-- An inbox has a count above 0 and, when it is claimed, an owner instead of an
-- end; a plain channel has the count 0.

local function read_member(value)
    local count, capacity, till, owner =
        string.match(value, '^(%d+) (%d+) (%d+) (.*)$')
    return tonumber(count), tonumber(capacity), tonumber(till), owner
end

local function write_member(group, name, count, capacity, till, owner)
    local key = P .. 'g:' .. group
    call('HSET', key, name, string.format('%d %d %d %s', count, capacity, till, owner))
    local live = UNCLAIMED_MS
    if till > now + live then
        live = till - now
    end
    if call('PTTL', key) < live then
        call('PEXPIRE', key, live)
    end
    note('groups', group, live)
end

local function is_alive(till, owner)
    if owner == '' then
        return till > now
    end
    return call('EXISTS', P .. 'p:' .. owner) == 1
end
