-- Append a control entry to an inbox, registered in a group or not.
-- Uses: once queues groups
-- ARGV: sender, number, expiry in ms, group, inbox, payload.
if done_before(ARGV[1], ARGV[2]) then
    return 0
end
local member = call('HGET', P .. 'g:' .. ARGV[4], ARGV[5])
local count = member and read_member(member) or 0
control(ARGV[5], count, ARGV[6], tonumber(ARGV[3]))
return 1
