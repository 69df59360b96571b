-- Append a control entry to an inbox, if it is registered in a group.
-- Uses: once queues groups
-- ARGV: sender, number, expiry in ms, group, inbox, payload.
if done_before(ARGV[1], ARGV[2]) then
    return 0
end
local member = call('HGET', P .. 'g:' .. ARGV[4], ARGV[5])
if member then
    local count = read_member(member)
    control(ARGV[5], count, ARGV[6], tonumber(ARGV[3]))
end
return 1
