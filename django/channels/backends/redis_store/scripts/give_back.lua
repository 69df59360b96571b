-- Put messages at the heads of queues.
-- Uses: once queues
-- ARGV: sender, number, expiry in ms, and for each message, the last one first:
-- its queue, the ms that it lives or '', the payload.
if done_before(ARGV[1], ARGV[2]) then
    return 0
end
local expiry = tonumber(ARGV[3])
for i = 4, #ARGV, 3 do
    local q = open(ARGV[i])
    expire(q)
    local deadline = now + (tonumber(ARGV[i + 1]) or expiry)
    local head = ARGV[i + 1] == '' and call('LINDEX', q.list, 0)
    if head then
        deadline = math.min(deadline, deadline_of(head))
    end
    call('LPUSH', q.list, string.format('%015d', deadline) .. ARGV[i + 2])
    call('PEXPIRE', q.list, MEMORY_MS + expiry)
    grow(q, 'delivered', -1)
    q.pending = q.pending + 1
    save(q, 0, expiry)
    if q.inbox then
        nudge(q.name)
    else
        ring(q.name, 1)
    end
end
return 1
