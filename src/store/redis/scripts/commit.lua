-- Writes the changes of one session and its tokens, if the session is as expected.
local fixed, id, expected, expected_seen, fenced, minted, pointers, slack, next_version = unpack(ARGV, 1, 9)
local session, ids, names, due = unpack(KEYS, 1, 4)
local place = string.sub(session, 1, -35)

local old = redis.call('HMGET', session, unpack(SESSION))
if (old[1] or '') ~= expected or expected_seen ~= '' and old[2] ~= expected_seen then
  return {'stale', old[1] and old}
end
local fence = (fenced ~= '' or minted ~= '') and epoch(fixed)
if fenced ~= '' and redis.call('HGET', KEYS[tonumber(fenced)], 'fence') ~= fence then
  return {'unfenced'}
end

-- Where one server has all keys, the pointer of a token is written and dropped here too.
local function pointer(token)
  local digest = string.sub(token, -64)
  return pointers .. string.sub(digest, 1, 2) .. '}:p:' .. digest
end
if minted ~= '' then
  local token = KEYS[tonumber(minted)]
  local owner = pointers ~= '' and redis.call('GET', pointer(token))
  if redis.call('EXISTS', token) == 1 or owner and owner ~= id then return {'exists'} end
end

local at = 9
local function take()
  at = at + 1
  return ARGV[at]
end
local function token()
  local key = KEYS[tonumber(take())]
  return key, redis.call('HGET', key, 'id')
end

local steps = {}

function steps.row()
  local due_at, span, seen, idle, absolute, ended, doc, devices, joined, unspent, answers, guest = unpack(ARGV, at + 1, at + 12)
  at = at + 12
  if old[2] and tonumber(old[2]) > tonumber(seen) then seen = old[2] end
  if ended == '' then
    redis.call('HSET', session, 'v', next_version, 'seen', seen, 'idle', idle, 'abs', absolute, 'doc', doc, 'devices', devices,
      'joined', joined, 'unspent', unspent, 'answers', answers)
    if not old[1] then redis.call('ZADD', ids, 0, id) end
    account(place, id, seen, unspent, guest ~= '' and #doc or nil)
  else
    -- Writes that free memory come first, so that a session can end on a full server.
    redis.call('HDEL', session, 'idle', 'abs', 'doc', 'devices', 'joined', 'unspent')
    redis.call('HSET', session, 'v', next_version, 'seen', seen, 'ended', ended, 'answers', answers)
    redis.call('ZREM', ids, id)
    account(place, id, seen, '', nil)
    unname(names, old[9] or '')
  end
  redis.call('ZADD', due, due_at, 's:' .. id)
  keep(session, tonumber(span), slack)
end

function steps.same()
  if old[1] then redis.call('HSET', session, 'v', next_version) end
end

function steps.drop()
  local key, name = token()
  local digest = take()
  redis.call('DEL', key)
  if name then redis.call('ZREM', names, name .. digest) end
  redis.call('ZREM', due, string.sub(key, -66))
  if pointers ~= '' then redis.call('DEL', pointer(key)) end
end

function steps.claim()
  local key, name = token()
  local digest, claim, moment, forget = take(), take(), take(), take()
  if not name then return end
  redis.call('HSET', key, 'cid', claim, 'cat', moment)
  redis.call('ZREM', names, name .. digest)
  if forget ~= '' then
    local first = math.min(tonumber(forget), tonumber(redis.call('HGET', key, 'forget')))
    redis.call('HSET', key, 'forget', whole(first))
    redis.call('ZADD', due, whole(first), string.sub(key, -66))
  end
end

function steps.run()
  local key, name = token()
  local run, answer, forget, span = take(), take(), take(), take()
  if not name then return end
  local last = math.max(tonumber(forget), tonumber(redis.call('HGET', key, 'forget')))
  redis.call('HSET', key, 'run', run, 'answer', answer, 'forget', whole(last))
  redis.call('ZADD', due, whole(last), string.sub(key, -66))
  keep(key, tonumber(span), slack)
end

function steps.unanswered()
  local key, name = token()
  if name then redis.call('HSET', key, 'answer', '') end
end

function steps.unclaim()
  local key, name = token()
  local digest, forget = take(), take()
  if not name then return end
  redis.call('HSET', key, 'cid', '', 'cat', '', 'run', '', 'answer', '', 'forget', forget)
  redis.call('ZADD', names, 0, name .. digest)
  redis.call('ZADD', due, forget, string.sub(key, -66))
end

function steps.void()
  local key, name = token()
  if name then redis.call('HSET', key, 'fence', '') end
end

function steps.mint()
  local key, name, digest, span, pointer_span = KEYS[tonumber(take())], take(), take(), take(), take()
  local fields = {'id', name, 'fence', fence}
  for field = 2, 13 do
    fields[#fields + 1] = TOKEN[field]
    fields[#fields + 1] = take()
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('ZADD', due, redis.call('HGET', key, 'forget'), string.sub(key, -66))
  if redis.call('HGET', key, 'cid') == '' then redis.call('ZADD', names, 0, name .. digest) end
  keep(key, tonumber(span), slack)
  if pointers ~= '' then redis.call('SET', pointer(key), id, 'PX', pointer_span) end
end

while at < #ARGV do steps[take()]() end
return {'done'}
