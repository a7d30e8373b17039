-- Moves the moments at which living sessions were last used, never back.
for at, key in ipairs(KEYS) do
  local seen, idle, absolute, ended = unpack(redis.call('HMGET', key, 'seen', 'idle', 'abs', 'ended'))
  local now = ARGV[at + 1]
  if seen and not ended and tonumber(now) > tonumber(seen) then
    redis.call('HSET', key, 'seen', now)
    keep(key, over_at(now, idle, absolute) - tonumber(now), ARGV[1])
  end
end
return 1
