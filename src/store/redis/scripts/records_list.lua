-- One page of records: key, value, key, value, …
-- KEYS: the sorted set of their keys, the hash of their values. ARGV: the least key and the end, as
-- ZRANGEBYLEX takes them, and the number of records at most.
local keys = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local page = {}
for _, key in ipairs(keys) do
  page[#page + 1] = key
  page[#page + 1] = redis.call('HGET', KEYS[2], key)
end
return page
