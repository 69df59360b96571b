-- Return which of the queues have entries; let the waiting for them live on.
-- Uses: queues
-- ARGV: for each queue its name.
local found = {}
for i = 1, #ARGV do
    local q = open(ARGV[i])
    local waits
    if q.inbox then
        local state = call('HMGET', q.hash, 'counted', 'missed')
        local after = state[1] or '0-0'
        waits = state[2] or call('LLEN', q.list) > 0
            or #call('XRANGE', q.stream, '(' .. after, '+', 'COUNT', 1) > 0
    else
        local memory = memory_of(q.name)
        call('PEXPIRE', P .. 'w:' .. q.name, memory)
        note('queues', q.name, memory)
        if q.pending > 0 then
            expire(q)
            call('HSET', q.hash, 'pending', q.pending)
        end
        waits = q.pending > 0
    end
    if waits then
        found[#found + 1] = i - 1
    end
end
return found
