-- Finds the keys of a token by its pointer, where one server has them all. The last argument is
-- the prefix of keys.
local id = redis.call('GET', KEYS[1])
if not id then return false end
local place = ARGV[#ARGV] .. string.sub(id, 1, 2) .. '}:'
local KEYS = {place .. 't:' .. string.sub(KEYS[1], -64), place .. 's:' .. id, place .. 'names', place .. 'due'}
