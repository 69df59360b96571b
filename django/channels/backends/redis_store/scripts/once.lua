-- What makes a call that is repeated after a lost reply happen once.

-- Note that a sender's call is carried out now. Return nil if it was not before;
-- otherwise what it returned then, or true if nothing was kept.
local function done_before(sender, number)
    local key = P .. 's:' .. sender
    local before = call('SET', key, number, 'PX', REPEAT_MS, 'GET')
    if not before or tonumber(before) < tonumber(number) then
        return nil
    end
    call('SET', key, before, 'PX', REPEAT_MS)
    local kept = call('GET', P .. 'r:' .. sender)
    if kept then
        kept = cmsgpack.unpack(kept)
        if kept[1] == number then
            return kept[2]
        end
    end
    return true
end

-- Keep what a call returns, should it be repeated.
local function keep_result(sender, number, result)
    local kept = cmsgpack.pack({number, result})
    call('SET', P .. 'r:' .. sender, kept, 'PX', REPEAT_MS)
end
