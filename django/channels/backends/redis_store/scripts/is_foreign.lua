-- Say whether another process, one that is alive, has claimed an inbox: 1 or 0.
-- Uses: groups
-- ARGV: inbox, incarnation of who asks.
local owner = call('GET', P .. 'o:' .. ARGV[1])
if owner and owner ~= ARGV[2] and is_alive(0, owner) then
    return 1
end
return 0
