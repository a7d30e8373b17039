-- What every step knows: the fields of the rows, and which incarnation of the server it runs in.
local SESSION = {'v', 'seen', 'idle', 'abs', 'ended', 'doc', 'joined', 'devices', 'unspent', 'answers'}
local TOKEN = {'id', 'sid', 'exp', 'forget', 'for', 'mode', 'confirm', 'bind', 'cid', 'cat', 'run', 'answer', 'doc', 'fence'}

-- Redis names itself anew when it starts and when a replica takes over, also one that was the
-- primary before, and never takes a name back. A run_id would come back with such a primary.
local function incarnation(fixed)
  if fixed ~= '' then return fixed end
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- The moment at which the time of a session is over.
local function over_at(seen, idle, absolute)
  return math.min(tonumber(seen) + tonumber(idle), tonumber(absolute))
end

-- Whole numbers as Redis reads them; Lua would write long ones with an exponent.
local function whole(number) return string.format('%.0f', number) end

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
