-- Ends expired sessions and drops rows that are no longer needed, shard by shard.
local begin, pointers, now, at_most, tombstone, slack = unpack(ARGV, 1, 6)
local room, dropped, swept = tonumber(at_most), {}, 0

local function drop_token(place, member)
  local digest = string.sub(member, 3)
  local name = redis.call('HGET', place .. member, 'id')
  redis.call('DEL', place .. member)
  redis.call('ZREM', place .. 'due', member)
  if name then
    local bytes = string.gsub(digest, '%x%x', function(byte) return string.char(tonumber(byte, 16)) end)
    redis.call('ZREM', place .. 'names', name .. bytes)
  end
  if pointers ~= '' then
    redis.call('DEL', pointers .. string.sub(digest, 1, 2) .. '}:p:' .. digest)
  else
    dropped[#dropped + 1] = digest
  end
end

-- Whether a row was ended or dropped. One that was used meanwhile gets a later deadline.
local function sweep_session(place, member)
  local key = place .. member
  local version, seen, idle, absolute, ended, _, _, _, unspent = unpack(redis.call('HMGET', key, unpack(SESSION)))
  if not version or ended then
    redis.call('DEL', key)
    redis.call('ZREM', place .. 'due', member)
    redis.call('ZREM', place .. 'ids', string.sub(member, 3))
    account(place, string.sub(member, 3), 0, '', nil)
    return true
  end
  local over = over_at(seen, idle, absolute, unspent)
  if tonumber(now) < over then
    redis.call('ZADD', place .. 'due', whole(over), member)
    return false
  end
  redis.call('HDEL', key, 'idle', 'abs', 'doc', 'devices', 'joined', 'unspent')
  redis.call('HSET', key, 'ended', now)
  redis.call('HINCRBY', key, 'v', 1)
  redis.call('ZREM', place .. 'ids', string.sub(member, 3))
  account(place, string.sub(member, 3), seen, '', nil)
  unname(place .. 'names', unspent)
  redis.call('ZADD', place .. 'due', whole(tonumber(now) + tonumber(tombstone)), member)
  keep(key, tonumber(tombstone), slack)
  return true
end

for shard = 7, #ARGV do
  local place = begin .. ARGV[shard] .. '}:'
  local members = redis.call('ZRANGEBYSCORE', place .. 'due', '-inf', now, 'LIMIT', 0, room - swept)
  for _, member in ipairs(members) do
    if string.sub(member, 1, 2) == 't:' then
      drop_token(place, member)
      swept = swept + 1
    elseif sweep_session(place, member) then
      swept = swept + 1
    end
  end
end
return {swept, dropped}
