-- Say that inboxes and registrations are a process's.
-- Uses: groups
-- ARGV: incarnation, number of inboxes, their names, and for each registration:
-- group, inbox, capacity, count.
local last = 2 + ARGV[2]
for i = 3, last do
    call('SET', P .. 'o:' .. ARGV[i], ARGV[1], 'PX', UNCLAIMED_MS)
    note('queues', ARGV[i], UNCLAIMED_MS)
end
for i = last + 1, #ARGV, 4 do
    local count = tonumber(ARGV[i + 3])
    local member = call('HGET', P .. 'g:' .. ARGV[i], ARGV[i + 1])
    if member then
        count = math.max(count, (read_member(member)))
    end
    write_member(ARGV[i], ARGV[i + 1], count, tonumber(ARGV[i + 2]), 0, ARGV[1])
end
return 1
