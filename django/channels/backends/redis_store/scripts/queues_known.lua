-- Return the names of the queues that are known.
return call('ZRANGEBYSCORE', P .. 'queues', now, '+inf')
