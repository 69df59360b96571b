-- What every script begins with. KEYS[1] begins the names of all keys: the
-- prefix, the hash tag of the shard in a cluster, and the generation.
local P = KEYS[1]
local call = redis.call
local time = call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)

local function is_inbox(queue)
    return string.byte(queue, -1) == 33
end

-- Return for how many ms the counters of a queue outlive its last use.
local function memory_of(queue)
    return string.find(queue, '?', 1, true) and SINGLE_READER_MEMORY_MS or MEMORY_MS
end

-- Note that there is a queue, or a group, for that many ms. ``what`` is the list.
local function note(what, name, life)
    local key = P .. what
    call('ZADD', key, 'GT', now + life, name)
    if call('PTTL', key) < life then
        call('PEXPIRE', key, life)
    end
end
