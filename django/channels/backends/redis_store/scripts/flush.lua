-- Drop all messages and groups; tell the inboxes that are claimed.
-- Uses: once queues
-- ARGV: sender, number, expiry in ms, payload of the control entry.
if done_before(ARGV[1], ARGV[2]) then
    return 0
end
local expiry = tonumber(ARGV[3])
for _, name in ipairs(call('ZRANGE', P .. 'queues', 0, -1)) do
    local q = open(name)
    if q.pending > 0 then
        expire(q)
        grow(q, 'dropped', q.pending)
        q.pending = 0
        save(q, 0, expiry)
    end
    call('DEL', q.list)
    if q.inbox then
        call('XTRIM', q.stream, 'MAXLEN', 0)
        call('DEL', P .. 'm:' .. name)
        call('HDEL', q.hash, 'missed')
        if call('EXISTS', P .. 'o:' .. name) == 1 then
            control(name, 0, ARGV[4], expiry)
        end
    end
end
for _, group in ipairs(call('ZRANGE', P .. 'groups', 0, -1)) do
    call('DEL', P .. 'g:' .. group)
end
call('DEL', P .. 'groups')
return 1
