-- End the membership of a plain channel.
-- ARGV: group, channel.
call('HDEL', P .. 'g:' .. ARGV[1], ARGV[2])
call('SREM', P .. 'c:' .. ARGV[2], ARGV[1])
return 1
