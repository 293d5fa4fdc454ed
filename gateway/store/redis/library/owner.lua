-- Taking over and letting go.

-- preload returns the entries of each range, or false for one that does not fit.
local function preload(base, args, i, budget)
  local out = {}
  for j = i, #args, 2 do
    local entries, more, size = collect(base, args[2], args[j], args[j + 1], false, math.huge, budget)
    if more or size > budget then
      out[#out + 1] = false
    else
      budget = budget - size
      out[#out + 1] = entries
    end
  end
  return out
end

local function read_state(base, id)
  local r = redis.call('HMGET', record_key(base, id), 'l', 's')
  if r[1] and tonumber(r[1]) > INLINE_STATE then return redis.call('GET', base .. 's:' .. id) end
  return r[2]
end

-- acquire: id, generation and nonce to compare with, or empty ones; the new nonce, runner, most bytes to preload; from,
-- until, ... Sent again, it knows itself by the new nonce, and answers as it did at first [COMMIT-3].
local function acquire(keys, args)
  local base, id, nonce = keys[1], args[2], args[5]
  local record = record_key(base, id)
  local r = redis.call('HMGET', record, 't', 'g', 'n', 'r', 'p')
  if not r[1] then return not_found() end
  local previous = r[5]
  if r[3] == nonce then
    redis.call('HSET', record, 'n', nonce) -- [RDS-4]
  else
    if args[3] ~= '' and (r[2] ~= args[3] or r[3] ~= args[4]) then return fenced(keys[1], args[2]) end
    local generation = math.max(tonumber(r[2] or '0') + 1, clock(args)) -- [FENCE-2]
    if generation >= 2 ^ 53 then return redis.error_reply('ERR the clock is centuries ahead: no generation is left') end
    previous = r[4] and r[4] ~= '' and '1' or '0'
    redis.call('HSET', record, 'g', whole(generation), 'n', nonce, 'r', args[6], 'p', previous)
  end
  return {
    describe(base, id), previous, read_state(base, id), redis.call('HGETALL', base .. 't:' .. id),
    redis.call('SMEMBERS', base .. 'c:' .. id), preload(base, args, 8, tonumber(args[7])),
  }
end

-- release: id, generation, nonce. The generation stays.
local function release(keys, args)
  if not owned(keys[1], args[2], args[3], args[4]) then return fenced(keys[1], args[2]) end
  redis.call('HSET', record_key(keys[1], args[2]), 'r', '')
  return 'OK'
end
