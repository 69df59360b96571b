-- End the read of a process that waits on its bell; return whether it has one.
-- ARGV: incarnation.
local rung = call('XADD', P .. 'p:' .. ARGV[1], 'NOMKSTREAM', 'MAXLEN', '~', 10000,
    '*', 'r', '')
return rung and 1 or 0
