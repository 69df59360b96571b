-- Renew the lease of a process, which is its bell, and what belongs to it.
-- ARGV: the key of the epoch, incarnation, whether it is new, the last id read
-- from the bell, then names of inboxes, '', names of groups.
-- Returns 1, 0 if the lease is over or -1 if this generation is, and now.
local beginning = string.sub(ARGV[1], 1, -6)
local known = call('GET', ARGV[1])
if not known or beginning .. string.match(known, ' (.*)') .. ':' ~= P then
    return {-1, now}
end
local bell = P .. 'p:' .. ARGV[2]
if ARGV[3] == '1' then
    redis.pcall('XGROUP', 'CREATE', bell, 'r', '0', 'MKSTREAM')
end
if call('PEXPIRE', bell, LEASE_MS) == 0 then
    return {0, now}
end
call('PEXPIRE', ARGV[1], EPOCH_MS)
if ARGV[4] ~= '' then
    call('XTRIM', bell, 'MINID', ARGV[4])
end
local i = 5
while ARGV[i] and ARGV[i] ~= '' do
    call('PEXPIRE', P .. 'o:' .. ARGV[i], UNCLAIMED_MS)
    call('PEXPIRE', P .. 'i:' .. ARGV[i], UNCLAIMED_MS)
    note('queues', ARGV[i], UNCLAIMED_MS)
    i = i + 1
end
for j = i + 1, #ARGV do
    local left = call('PTTL', P .. 'g:' .. ARGV[j])
    if left >= 0 and left < UNCLAIMED_MS then
        call('PEXPIRE', P .. 'g:' .. ARGV[j], UNCLAIMED_MS)
        note('groups', ARGV[j], UNCLAIMED_MS)
    end
end
call('ZREMRANGEBYSCORE', P .. 'queues', '-inf', now)
call('ZREMRANGEBYSCORE', P .. 'groups', '-inf', now)
return {1, now}
