-- Grants a token in the plain case; returns it and its session as they were before. A copy of a
-- part of Token::judge (src/token/mod.rs): both must be changed together.
local fixed, now, claim, handler, row_mode, auto = unpack(ARGV, 1, 6)
local click, browser, signed_in, current, credential = unpack(ARGV, 7, 11)
local digest, newcomer_digest, newcomer, run, run_until, devices_max, slack, next_version = unpack(ARGV, 12, 19)

local token = redis.call('HMGET', KEYS[1], unpack(TOKEN))
if not token[1] then return false end
local session = redis.call('HMGET', KEYS[2], unpack(SESSION))
local name, sid, expires, forget, handlers, mode, confirm, binding, claimed = unpack(token)
local version, seen, idle, absolute, ended, _, joined, devices, unspent = unpack(session)
local fenced = token[14] == epoch(fixed)

local function holds(list, item)
  for at = 1, #list, #item do
    if string.sub(list, at, at + #item - 1) == item then return true end
  end
  return false
end

local function may_ask()
  if signed_in ~= '' and signed_in ~= sid and mode ~= 'context' then return true end
  if click == '' then return false end
  local wish = math.max(tonumber(click), tonumber(confirm))
  return wish > 1 or wish == 1 and (binding == '' or binding ~= browser)
end

-- Whether the bearer joins; nil if the case is not plain.
local function joining()
  if not fenced or claimed ~= '' or tonumber(now) >= tonumber(expires) then return nil end
  if handlers ~= '' and not string.find('\n' .. handlers .. '\n', '\n' .. handler .. '\n', 1, true) then return nil end
  if not version or ended or tonumber(now) >= over_at(seen, idle, absolute, unspent) then return nil end
  if mode == '' then mode = row_mode end
  if mode == 'auto' then mode = auto end
  if mode == 'transfer' or may_ask() then return nil end
  if mode == 'context' or current == sid and holds(devices, credential) then return false end
  if #devices >= tonumber(devices_max) * 32 then return nil end
  return true
end

local joins = joining()
local found = {joins == nil and 0 or 1, token, fenced and 1 or 0, version and session}
if joins == nil then return found end

-- Writes that free memory come first: Redis then lets the script continue although it is full, so
-- that callbacks are redeemed while nothing new is stored.
redis.call('ZREM', KEYS[3], name .. digest)
redis.call('HSET', KEYS[1], 'cid', claim, 'cat', now)
if run_until ~= '' then
  local last = math.max(tonumber(forget), tonumber(run_until))
  redis.call('HSET', KEYS[1], 'run', run, 'forget', whole(last))
  redis.call('ZADD', KEYS[4], whole(last), string.sub(KEYS[1], -66))
  keep(KEYS[1], last - tonumber(now), slack)
end
for at = 1, #unspent, 48 do
  if string.sub(unspent, at, at + 31) == digest then
    unspent = string.sub(unspent, 1, at - 1) .. string.sub(unspent, at + 48)
    break
  end
end
redis.call('HSET', KEYS[2], 'v', next_version, 'unspent', unspent)
local last_use = whole(math.max(tonumber(now), tonumber(seen)))
local over = over_at(last_use, idle, absolute, unspent)
if over < over_at(last_use, idle, absolute, session[9]) then
  -- The session may have lived for this token alone.
  redis.call('ZADD', KEYS[4], whole(over), 's:' .. sid)
end
used(string.sub(KEYS[2], 1, -35), sid, last_use, unspent)
if joins then
  if joined ~= '' then joined = joined .. '\n' end
  redis.call('HSET', KEYS[2], 'devices', devices .. newcomer_digest, 'joined', joined .. newcomer)
end
if tonumber(now) > tonumber(seen) then
  redis.call('HSET', KEYS[2], 'seen', now)
  keep(KEYS[2], over - tonumber(now), slack)
end
return found
