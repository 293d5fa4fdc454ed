-- What concerns no partition: leases and the actor types that were ever announced.

-- A lease that ran out is kept for a week, for those who still name its holder.
local KEEP_LEASE = 7 * 24 * 3600 * 1000000

-- A lease is text "kind until length-of-session " and then the session and the detail.
local function decode_lease(text)
  local kind, ends, length, rest = text:match('^(%d) (%d+) (%d+) (.*)$')
  return {kind = kind, ends = tonumber(ends), session = rest:sub(1, tonumber(length))}
end

local function forget_leases(base, now)
  local old = redis.call('ZRANGE', base .. 'u', '-inf', '(' .. whole(now - KEEP_LEASE), 'BYSCORE', 'LIMIT', 0, 16)
  if #old == 0 then return end
  redis.call('HDEL', base .. 'l', unpack(old))
  redis.call('ZREM', base .. 'u', unpack(old))
end

-- grant: id, kind, session, detail, time to live. Answers until when [LEASE-5].
local function grant(keys, args)
  local base, now, id, session = keys[1], clock(args), args[2], args[4]
  local stored = redis.call('HGET', base .. 'l', id)
  local held = stored and decode_lease(stored)
  if held and held.session ~= session and held.ends > now then
    return refuse('HELD', 'the lease is held by another session')
  end
  forget_leases(base, now)
  local ends = whole(now + tonumber(args[6]))
  redis.call('HSET', base .. 'l', id, args[3] .. ' ' .. ends .. ' ' .. #session .. ' ' .. session .. args[5])
  redis.call('ZADD', base .. 'u', ends, id)
  return ends
end

-- revoke: id, session.
local function revoke(keys, args)
  local stored = redis.call('HGET', keys[1] .. 'l', args[2])
  if not stored then return not_found() end
  if decode_lease(stored).session ~= args[3] then return refuse('HELD', 'the lease is held by another session') end
  redis.call('HDEL', keys[1] .. 'l', args[2])
  redis.call('ZREM', keys[1] .. 'u', args[2])
  return 'OK'
end

-- live: kind. Answers id, lease, ...
local function live(keys, args)
  local base, out = keys[1], {}
  local ids = redis.call('ZRANGE', base .. 'u', '(' .. whole(clock(args)), '+inf', 'BYSCORE')
  for _, id in ipairs(ids) do
    local stored = redis.call('HGET', base .. 'l', id)
    if decode_lease(stored).kind == args[2] then
      out[#out + 1] = id
      out[#out + 1] = stored
    end
  end
  return out
end

local function lease(keys, args) return redis.call('HGET', keys[1] .. 'l', args[2]) or not_found() end

local function remember_types(keys, args)
  for i = 2, #args do redis.call('SADD', keys[1] .. 'y', args[i]) end
  return 'OK'
end

local function known_types(keys) return redis.call('SMEMBERS', keys[1] .. 'y') end
