-- Moves the last-used times of living sessions forward, never back.
for at, key in ipairs(KEYS) do
  local seen, idle, absolute, ended, unspent = unpack(redis.call('HMGET', key, 'seen', 'idle', 'abs', 'ended', 'unspent'))
  local now = ARGV[at + 1]
  if seen and not ended and tonumber(now) > tonumber(seen) then
    redis.call('HSET', key, 'seen', now)
    used(string.sub(key, 1, -35), string.sub(key, -32), now, unspent)
    keep(key, over_at(now, idle, absolute, unspent) - tonumber(now), ARGV[1])
  end
end
return 1
