-- What every function of the library obeys:
--
-- KEYS[1] is the prefix of all keys of the partition, e.g. "stagedoor:{p17}:"; the names of the others are made from
-- it (layout.go says which there are). So all of them lie in the one slot of the hash tag. KEYS[1] and KEYS[2] never
-- exist as keys: Redis Cluster therefore answers TRYAGAIN while the slot is being moved, and no function ever meets a
-- half of an actor.
-- ARGV[1] is the store's time in microseconds, for tests; empty: the server's.
--
-- A function that is refused answers an error that begins with a code, and has changed nothing: Lua has no roll-back,
-- so everything is checked before the first write. Numbers are doubles, exact below 2^53. Strings are never compared by
-- < or sorted here: Lua does that by the server's locale.

-- Most elements of one unpack: Lua's stack has 8,000.
local BATCH = 1000

-- A state up to this size is kept in the record, whose hash stays small in memory.
local INLINE_STATE = 64

local function clock(args)
  if args[1] ~= '' then return tonumber(args[1]) end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- whole formats a number without an exponent.
local function whole(n) return string.format('%.0f', n) end

local function refuse(code, text) return redis.error_reply(code .. ' ' .. text) end

local function not_found() return refuse('NOTFOUND', 'nothing has that name') end

local function record_key(base, id) return base .. 'a:' .. id end

-- fenced refuses one who is not the owner, or no longer.
local function fenced(base, id)
  if redis.call('EXISTS', record_key(base, id)) == 0 then return refuse('GONE', 'nothing has that name') end
  return refuse('FENCED', 'generation and nonce are not those of its owner')
end

-- owned says whether (generation, nonce) are the owner's [FENCE-1]. An actor that is gone, or was never acquired, has
-- none.
local function owned(base, id, generation, nonce)
  local r = redis.call('HMGET', record_key(base, id), 'g', 'n')
  return r[1] == generation and r[2] == nonce
end
