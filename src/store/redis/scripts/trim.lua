-- Drops guests of some shards with their unspent tokens, in order, until the others fit.
local begin, pointers, guests_max, bytes_max, at_most, spared = unpack(ARGV, 1, 6)
local guests, bytes, dropped, unpointed, heads = 0, 0, 0, {}, {}

local function head(place)
  local first = redis.call('ZRANGE', place .. 'guests', 0, 1, 'WITHSCORES')
  if first[1] == spared then first = {first[3], first[4]} end
  heads[place] = first[1] and {first[1], tonumber(first[2])}
end

local function drop(place, id)
  local key = place .. 's:' .. id
  local unspent = redis.call('HGET', key, 'unspent') or ''
  redis.call('DEL', key)
  unname(place .. 'names', unspent)
  for at = 1, #unspent, 48 do
    local digest = string.gsub(string.sub(unspent, at, at + 31), '.', function(byte)
      return string.format('%02x', string.byte(byte))
    end)
    redis.call('DEL', place .. 't:' .. digest)
    redis.call('ZREM', place .. 'due', 't:' .. digest)
    if pointers ~= '' then
      redis.call('DEL', pointers .. string.sub(digest, 1, 2) .. '}:p:' .. digest)
    else
      unpointed[#unpointed + 1] = digest
    end
  end
  redis.call('ZREM', place .. 'ids', id)
  redis.call('ZREM', place .. 'due', 's:' .. id)
  account(place, id, 0, '', nil)
end

local function count()
  guests, bytes = 0, 0
  for shard = 7, #ARGV do
    local place = begin .. ARGV[shard] .. '}:'
    guests = guests + redis.call('ZCARD', place .. 'guests')
    bytes = bytes + tonumber(redis.call('HGET', place .. 'sizes', 'all') or 0)
  end
end

local function fits() return guests <= tonumber(guests_max) and bytes <= tonumber(bytes_max) end

count()
if not fits() then
  for shard = 7, #ARGV do head(begin .. ARGV[shard] .. '}:') end
end
while not fits() and dropped < tonumber(at_most) do
  local next_place, lowest
  for place, first in pairs(heads) do
    if first and (not lowest or first[2] < lowest) then next_place, lowest = place, first[2] end
  end
  if not next_place then break end
  local id = heads[next_place][1]
  guests = guests - 1
  bytes = bytes - tonumber(redis.call('HGET', next_place .. 'sizes', id) or 0)
  drop(next_place, id)
  dropped = dropped + 1
  head(next_place)
end
return {guests, bytes, dropped, unpointed}
