-- Become the reader of inboxes; return where the reader begins in each.
-- Uses: queues inboxes
-- ARGV: reader, expiry in ms, and for each inbox: its name, the reader's cursor.
local reader, expiry = ARGV[1], tonumber(ARGV[2])
local cursors = {}
for i = 3, #ARGV, 2 do
    local q = open(ARGV[i])
    local cursor = ARGV[i + 1]
    local found = call('HMGET', q.hash, 'reader', 'counted')
    if found[1] == reader and cursor == '' then
        -- Another thread of this process has just become the reader.
        cursor = found[2] or '0-0'
    elseif found[1] ~= reader then
        cursor = take_over(q, reader, found[2] or '0-0', expiry)
    else
        -- The group of readers may be gone with the stream. Otherwise it gives again
        -- what it gave in an answer that was lost.
        if redis.pcall('XGROUP', 'CREATE', q.stream, 'r', cursor, 'MKSTREAM').err then
            redis.pcall('XGROUP', 'SETID', q.stream, 'r', cursor)
        end
        call('PEXPIRE', q.stream, UNCLAIMED_MS + expiry)
    end
    cursors[#cursors + 1] = cursor
end
return cursors
