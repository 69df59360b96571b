-- Change counters of queues.
-- Uses: once
-- ARGV: sender, number, expiry in ms, and for each change: queue, counter, number.
if done_before(ARGV[1], ARGV[2]) then
    return 0
end
for i = 4, #ARGV, 3 do
    local hash = P .. 'q:' .. ARGV[i]
    call('HINCRBY', hash, ARGV[i + 1], ARGV[i + 2])
    local memory = memory_of(ARGV[i]) + ARGV[3]
    call('PEXPIRE', hash, memory)
    note('queues', ARGV[i], memory)
end
return 1
