-- Return the generation that belongs to the running server, made if need be.
-- KEYS[1]: the key of the epoch; it is not the beginning of other keys.
-- ARGV: a new generation, the run id and the generation that the caller knows.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known = redis.call('GET', KEYS[1])
if known then
    local id, generation = string.match(known, '^(%x+) (.*)$')
    if id == run_id then
        return {run_id, generation}
    end
end
local generation = ARGV[1]
if not known and ARGV[2] == run_id then
    -- Flushed, not restarted: nothing old can come back.
    generation = ARGV[3]
end
redis.call('SET', KEYS[1], run_id .. ' ' .. generation, 'PX', EPOCH_MS)
return {run_id, generation}
