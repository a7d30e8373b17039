-- Changes records, all of them or none. Returns 1, or 0 if one has another value than expected.
-- KEYS: the sorted set of their keys, the hash of their values.
-- ARGV: for each change five words: the key, '1' if a value is expected, that value, '1' if there is
-- a new value, the new value.
for at = 1, #ARGV, 5 do
  local held = redis.call('HGET', KEYS[2], ARGV[at])
  if ARGV[at + 1] == '1' then
    if held ~= ARGV[at + 2] then return 0 end
  elseif held then
    return 0
  end
end
for at = 1, #ARGV, 5 do
  if ARGV[at + 3] == '1' then
    redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 4])
    redis.call('ZADD', KEYS[1], 0, ARGV[at])
  else
    redis.call('HDEL', KEYS[2], ARGV[at])
    redis.call('ZREM', KEYS[1], ARGV[at])
  end
end
return 1
