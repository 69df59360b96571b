-- Ring a process that waits for a queue, if messages wait there.
-- Uses: queues
-- ARGV: queue.
local q = open(ARGV[1])
if q.pending > 0 and not q.inbox then
    ring(q.name, 1)
end
return 1
