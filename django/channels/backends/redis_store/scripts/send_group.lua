-- Append a message to each inbox and plain channel of a group.
-- Uses: once queues groups
-- ARGV: sender, number, expiry in ms, group, payload.
if done_before(ARGV[1], ARGV[2]) then
    return 0
end
local expiry, group, payload = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local key = P .. 'g:' .. group

local function miss(q)
    q.sent = q.sent + 1
    grow(q, 'dropped', 1)
    grow(q, 'refused', 1)
    if not q.inbox then
        return
    end
    local missed = P .. 'm:' .. q.name
    call('HINCRBY', missed, group, 1)
    call('PEXPIRE', missed, MEMORY_MS + expiry)
    if call('HSET', q.hash, 'missed', 1) == 1 then
        nudge(q.name)
    end
end

local members = call('HGETALL', key)
for i = 1, #members, 2 do
    local name = members[i]
    local _, capacity, till, owner = read_member(members[i + 1])
    if is_alive(till, owner) then
        local q = open(name)
        local fits = room(q, capacity, 1) == 1
        if not fits then
            miss(q)
        elseif q.inbox then
            add(q, 1, payload, expiry)
        else
            push(q, 5, 1, expiry)
        end
        save(q, 1, expiry)
        if fits and not q.inbox then
            ring(name, 1)
        end
    else
        call('HDEL', key, name)
    end
end
return 1
