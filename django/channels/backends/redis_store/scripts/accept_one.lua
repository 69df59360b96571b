-- One entry of one inbox, right behind what was counted, in a second that has
-- begun: the common case. Whatever is different is left to what follows this.
if ARGV[5] == '1' and ARGV[8] == '0' and not ARGV[9] then
    local hash = P .. 'q:' .. ARGV[3]
    local found = call('HMGET', hash, 'second', 'pending', 'reader', 'counted',
        'delivered')
    if tonumber(found[1]) == second and found[3] == ARGV[1]
            and (found[4] or '0-0') == ARGV[4] then
        local count = 0
        if call('XDEL', P .. 'i:' .. ARGV[3], ARGV[6]) == 1 then
            count = tonumber(ARGV[7])
        end
        call('HSET', hash, 'pending', (tonumber(found[2]) or 0) - count,
            'delivered', (tonumber(found[5]) or 0) + count, 'counted', ARGV[6])
        return 1
    end
end
