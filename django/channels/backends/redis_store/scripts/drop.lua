-- Drop the messages of a single-reader channel and its memberships.
-- Uses: queues
-- ARGV: queue, expiry in ms.
local q = open(ARGV[1])
if q.pending > 0 then
    expire(q)
    call('DEL', q.list)
    grow(q, 'dropped', q.pending)
    q.pending = 0
    save(q, 0, tonumber(ARGV[2]))
end
local key = P .. 'c:' .. ARGV[1]
for _, group in ipairs(call('SMEMBERS', key)) do
    call('HDEL', P .. 'g:' .. group, ARGV[1])
end
call('DEL', key)
return 1
