-- Append to queues; return how many messages of each were stored.
-- Uses: append_one once queues
-- ARGV: sender, number, expiry in ms, and for each queue: its name, its capacity,
-- the number of messages, and a run of them (an inbox) or each of them.
local before = done_before(ARGV[1], ARGV[2])
if before then
    return before == true and {} or before
end
local expiry = tonumber(ARGV[3])
local results = {}
local partial = false
local i = 4
while ARGV[i] do
    local q = open(ARGV[i])
    local count = tonumber(ARGV[i + 2])
    local fit = room(q, tonumber(ARGV[i + 1]), count)
    if fit < count then
        partial = true
        grow(q, 'refused', count - fit)
    end
    if q.inbox then
        if fit > 0 then
            local run = ARGV[i + 3]
            if fit < count then
                run = shorten(run, count, fit)
            end
            add(q, fit, run, expiry)
        end
        i = i + 4
    else
        if fit > 0 then
            push(q, i + 3, fit, expiry)
        end
        i = i + 3 + count
    end
    save(q, fit, expiry)
    if fit > 0 and not q.inbox then
        ring(q.name, fit)
    end
    results[#results + 1] = fit
end
if partial then
    keep_result(ARGV[1], ARGV[2], results)
end
return results
