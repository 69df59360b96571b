-- Return the groups: name, number of inboxes, number of plain channels, …
-- Uses: groups
local found = {}
for _, group in ipairs(call('ZRANGEBYSCORE', P .. 'groups', now, '+inf')) do
    local members = call('HGETALL', P .. 'g:' .. group)
    local inboxes, plain = 0, 0
    for i = 1, #members, 2 do
        local _, _, till, owner = read_member(members[i + 1])
        if is_inbox(members[i]) then
            inboxes = inboxes + 1
        elseif till > now then
            plain = plain + 1
        end
    end
    if inboxes + plain > 0 then
        found[#found + 1] = group
        found[#found + 1] = inboxes
        found[#found + 1] = plain
    end
end
return found
