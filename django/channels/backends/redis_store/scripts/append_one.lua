-- One word for one inbox that has room, in a second that has begun: the common
-- case, and less work. Whatever is different is left to what follows this.
if ARGV[7] and not ARGV[8] and is_inbox(ARGV[4]) then
    local hash = P .. 'q:' .. ARGV[4]
    local found = call('HMGET', hash, 'second', 'sent', 'pending')
    local count = tonumber(ARGV[6])
    local pending = (tonumber(found[3]) or 0) + count
    if tonumber(found[1]) == second and pending <= tonumber(ARGV[5]) then
        local key = P .. 's:' .. ARGV[1]
        local before = call('SET', key, ARGV[2], 'PX', REPEAT_MS, 'GET')
        if not before or tonumber(before) < tonumber(ARGV[2]) then
            call('XADD', P .. 'i:' .. ARGV[4], '*', 'm ' .. count .. ' ' .. ARGV[3],
                ARGV[7])
            call('HSET', hash, 'sent', (tonumber(found[2]) or 0) + count,
                'pending', pending)
            return {count}
        end
        call('SET', key, before, 'PX', REPEAT_MS)
    end
end
