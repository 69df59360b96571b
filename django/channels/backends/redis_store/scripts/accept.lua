-- Note what a reader was offered by listening and has accepted.
-- Uses: queues inboxes
-- ARGV: reader, expiry in ms, and for each inbox: its name, the reader's cursor
-- before, the number of entries, and for each of them: its id, how many of its
-- messages are delivered, and how many expired.
local i = 3
while ARGV[i] do
    local q = open(ARGV[i])
    local before, size = ARGV[i + 1], tonumber(ARGV[i + 2])
    local first = i + 3
    i = first + 3 * size
    local found = call('HMGET', q.hash, 'reader', 'counted')
    if found[1] == ARGV[1] then
        local counted = found[2] or '0-0'
        if is_after(before, counted) then
            counted = settle(q, before, counted)
        end
        local delivered, expired = 0, 0
        for j = first, i - 3, 3 do
            local gone = call('XDEL', q.stream, ARGV[j])
            if gone == 1 and is_after(ARGV[j], counted) then
                delivered = delivered + ARGV[j + 1]
                expired = expired + ARGV[j + 2]
            end
        end
        q.pending = q.pending - delivered - expired
        grow(q, 'expired', expired)
        grow(q, 'delivered', delivered)
        if is_after(ARGV[i - 3], counted) then
            call('HSET', q.hash, 'counted', ARGV[i - 3])
        end
        save(q, 0, tonumber(ARGV[2]))
    end
end
return 1
