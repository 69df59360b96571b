-- Note what a reader was offered by listening and has accepted.
-- Uses: accept_one queues inboxes
-- ARGV: reader, expiry in ms, and for each inbox: its name, the reader's cursor
-- before, the number of entries, and for each of them: its id, how many of its
-- messages are delivered, and how many expired.
local i = 3
while ARGV[i] do
    local q = open(ARGV[i], 'reader', 'counted', 'delivered')
    local before, size = ARGV[i + 1], tonumber(ARGV[i + 2])
    local first = i + 3
    i = first + 3 * size
    if q.found[4] == ARGV[1] then
        local counted = q.found[5] or '0-0'
        local delivered, expired = tonumber(q.found[6]) or 0, 0
        if before ~= counted and is_after(before, counted) then
            counted = settle(q, before, counted)
            delivered = tonumber(call('HGET', q.hash, 'delivered')) or 0
        end
        -- All of them come after the cursor.
        local is_new = counted == before
        for j = first, i - 3, 3 do
            local gone = call('XDEL', q.stream, ARGV[j])
            if gone == 1 and (is_new or is_after(ARGV[j], counted)) then
                delivered = delivered + ARGV[j + 1]
                expired = expired + ARGV[j + 2]
                q.pending = q.pending - ARGV[j + 1] - ARGV[j + 2]
            end
        end
        if is_new or is_after(ARGV[i - 3], counted) then
            counted = ARGV[i - 3]
        end
        grow(q, 'expired', expired)
        save(q, 0, tonumber(ARGV[2]), 'delivered', delivered, 'counted', counted)
    end
end
return 1
