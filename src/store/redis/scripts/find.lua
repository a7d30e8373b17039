-- Reads a token and its session, whose keys are in the same slot.
local token = redis.call('HMGET', KEYS[1], unpack(TOKEN))
if not token[1] then return false end
local session = redis.call('HMGET', string.sub(KEYS[1], 1, -67) .. 's:' .. token[2], unpack(SESSION))
return {0, token, token[14] == epoch(ARGV[1]) and 1 or 0, session[1] and session}
