-- Register an inbox in a group and append a control entry; return the add count.
-- Uses: once queues groups
-- ARGV: sender, number, expiry in ms, group, inbox, capacity, payload.
local before = done_before(ARGV[1], ARGV[2])
if before then
    return before
end
local group, inbox = ARGV[4], ARGV[5]
local owner = call('GET', P .. 'o:' .. inbox) or ''
local count = 0
local member = call('HGET', P .. 'g:' .. group, inbox)
if member then
    count = read_member(member)
end
count = count + 1
local till = owner == '' and now + UNCLAIMED_MS or 0
write_member(group, inbox, count, tonumber(ARGV[6]), till, owner)
control(inbox, count, ARGV[7], tonumber(ARGV[3]))
keep_result(ARGV[1], ARGV[2], count)
return count
