-- What every step knows: the fields of the rows, and which incarnation of the server it runs in.
local SESSION = {'v', 'seen', 'idle', 'abs', 'ended', 'doc', 'joined', 'devices', 'unspent', 'answers'}
local TOKEN = {'id', 'sid', 'exp', 'forget', 'for', 'mode', 'confirm', 'bind', 'cid', 'cat', 'run', 'answer', 'doc', 'fence'}

-- Redis names itself anew when it starts and when a replica takes over, also one that was the
-- primary before, and never takes a name back. A run_id would come back with such a primary.
local function incarnation(fixed)
  if fixed ~= '' then return fixed end
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- When the last of a session's unspent tokens expires; 0 if it has none.
local function needed_until(unspent)
  local last = 0
  for at = 1, #unspent, 48 do
    local expires = 0
    for byte = at + 40, at + 47 do expires = expires * 256 + string.byte(unspent, byte) end
    last = math.max(last, expires)
  end
  return last
end

-- The moment at which the time of a session is over: the end of its idle timeout, or that of its
-- last unspent token, or its absolute limit.
local function over_at(seen, idle, absolute, unspent)
  return math.min(math.max(tonumber(seen) + tonumber(idle), needed_until(unspent)), tonumber(absolute))
end

-- Whole numbers as Redis reads them; Lua would write long ones with an exponent.
local function whole(number) return string.format('%.0f', number) end

-- Guests stand in the order in which they make room: by their last use, and those that hold an
-- unspent token behind all others.
local function rank(seen, unspent)
  return whole(tonumber(seen) + (unspent ~= '' and 4e15 or 0))
end

-- Keeps account of a guest that takes so many bytes; of none if `bytes` is nil, for a session that
-- is no guest any more.
local function account(place, id, seen, unspent, bytes)
  local sizes, guests = place .. 'sizes', place .. 'guests'
  local before = redis.call('HGET', sizes, id)
  if bytes then
    redis.call('HSET', sizes, id, bytes)
    redis.call('ZADD', guests, rank(seen, unspent), id)
  elseif before then
    redis.call('HDEL', sizes, id)
    redis.call('ZREM', guests, id)
  end
  if bytes or before then
    local all = redis.call('HINCRBY', sizes, 'all', whole((bytes or 0) - tonumber(before or 0)))
    -- Without guests nothing is left.
    if all == 0 then redis.call('DEL', sizes) end
  end
end

-- Moves a guest in that order, after a use of it or of its tokens.
local function used(place, id, seen, unspent)
  redis.call('ZADD', place .. 'guests', 'XX', rank(seen, unspent), id)
end

-- The net under the sweep: Redis drops by itself what nobody has swept for long. Spans only are
-- handed over, so it does not matter which year Redis believes in.
local function keep(key, span, slack)
  redis.call('PEXPIRE', key, whole(math.max(span, 0) + tonumber(slack)))
end

-- Takes the entries of a session's unspent tokens out of the index of names.
local function unname(names, unspent)
  for at = 1, #unspent, 48 do
    redis.call('ZREM', names, string.sub(unspent, at + 32, at + 39) .. string.sub(unspent, at, at + 31))
  end
end
