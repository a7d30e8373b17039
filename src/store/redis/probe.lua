-- Does once whatever the other steps do, on a key of its own, and tells the incarnation: so a
-- missing permission shows at the start.
redis.call('HSET', KEYS[1], 'v', '0')
redis.call('HINCRBY', KEYS[1], 'v', 1)
redis.call('HMGET', KEYS[1], 'v')
redis.call('HGET', KEYS[1], 'v')
redis.call('HDEL', KEYS[1], 'v')
redis.call('ZADD', KEYS[2], 0, 'm')
redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', 0, 'LIMIT', 0, 1)
redis.call('ZREM', KEYS[2], 'm')
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('EXISTS', KEYS[1])
redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return incarnation('') or ''
