-- Make a plain channel a member of a group.
-- Uses: groups
-- ARGV: group, channel, capacity, life in ms.
local till = now + ARGV[4]
write_member(ARGV[1], ARGV[2], 0, tonumber(ARGV[3]), till, '')
if string.find(ARGV[2], '?', 1, true) then
    local key = P .. 'c:' .. ARGV[2]
    call('SADD', key, ARGV[1])
    if call('PTTL', key) < tonumber(ARGV[4]) then
        call('PEXPIRE', key, ARGV[4])
    end
end
return 1
