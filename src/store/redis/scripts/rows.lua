-- Shared by all steps: the fields of the rows, and the epoch of the server.
local SESSION = {'v', 'seen', 'idle', 'abs', 'ended', 'doc', 'joined', 'devices', 'unspent', 'answers'}
local TOKEN = {'id', 'sid', 'exp', 'forget', 'for', 'mode', 'confirm', 'bind', 'cid', 'cat', 'run', 'answer', 'doc', 'fence'}

-- Redis takes a new name when it starts and when a replica takes over, even one that was the
-- primary before, and never reuses a name. A run_id would come back with such a primary.
local function epoch(fixed)
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

-- When a session expires: the end of its idle timeout, or of its last unspent token, or its
-- absolute limit.
local function over_at(seen, idle, absolute, unspent)
  return math.min(math.max(tonumber(seen) + tonumber(idle), needed_until(unspent)), tonumber(absolute))
end

-- Whole numbers in a form that Redis accepts; Lua would format long ones with an exponent.
local function whole(number) return string.format('%.0f', number) end

-- Guests are in the order of eviction: by their last use, and those that hold an unspent token
-- after all others.
local function rank(seen, unspent)
  return whole(tonumber(seen) + (unspent ~= '' and 4e15 or 0))
end

-- Records the bytes that a guest takes; removes the entry if `bytes` is nil, for a session that is
-- no longer a guest.
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
    -- Nothing is kept once there are no guests.
    if all == 0 then redis.call('DEL', sizes) end
  end
end

-- Updates the position of a guest after a use of it or of its tokens.
local function used(place, id, seen, unspent)
  redis.call('ZADD', place .. 'guests', 'XX', rank(seen, unspent), id)
end

-- A safety net for the sweep: Redis expires rows that have not been swept for long. Only relative
-- times are used, so the server's date does not matter.
local function keep(key, span, slack)
  redis.call('PEXPIRE', key, whole(math.max(span, 0) + tonumber(slack)))
end

-- Removes the entries of a session's unspent tokens from the index of names.
local function unname(names, unspent)
  for at = 1, #unspent, 48 do
    redis.call('ZREM', names, string.sub(unspent, at + 32, at + 39) .. string.sub(unspent, at, at + 31))
  end
end
