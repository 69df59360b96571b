-- End a registration if its add count is that one; return whether it is ended.
-- Uses: groups
-- ARGV: group, inbox, count.
local key = P .. 'g:' .. ARGV[1]
local member = call('HGET', key, ARGV[2])
if member then
    local count = read_member(member)
    if count ~= tonumber(ARGV[3]) then
        return 0
    end
    call('HDEL', key, ARGV[2])
end
return 1
