-- The directory: which actors exist.

-- describe returns the record as record.go reads it, or nil.
local function describe(base, id)
  local r = redis.call('HMGET', record_key(base, id), 'a', 't', 'g', 'n', 'v', 'c', 'r', 'i')
  if not r[1] then return nil end
  if r[8] then r[8] = redis.call('GET', base .. 'i:' .. id) end
  r[9] = id
  return r
end

local function describe_actor(keys, args)
  return describe(keys[1], args[2]) or not_found()
end

local function resolve(keys, args)
  local id = redis.call('HGET', keys[1] .. 'n', args[2])
  return id and describe(keys[1], id) or not_found()
end

-- create: address, id, has input, input. The id is the caller's choice, so that a creation that is sent again knows its
-- own actor. What is found is written again, for a WAIT that follows [RDS-4].
local function create(keys, args)
  local base, addr, id = keys[1], args[2], args[3]
  local existing = redis.call('HGET', base .. 'n', addr)
  if existing then
    redis.call('HSET', base .. 'n', addr, existing)
    return {existing == id and 1 or 0, describe(base, existing)}
  end
  redis.call('HSET', base .. 'n', addr, id)
  redis.call('ZADD', base .. 'x', 0, id)
  redis.call('HSET', record_key(base, id), 'a', addr, 't', whole(clock(args)))
  if args[4] == '1' then
    redis.call('HSET', record_key(base, id), 'i', '1')
    redis.call('SET', base .. 'i:' .. id, args[5])
  end
  return {1, describe(base, id)}
end

-- remove takes away all that an actor holds, and its key [LIFE-6].
local function remove(base, id, addr)
  local schedules = redis.call('HKEYS', base .. 't:' .. id)
  for _, schedule in ipairs(schedules) do
    redis.call('ZREM', base .. 'd', id .. '\0' .. schedule)
  end
  redis.call('ZREM', base .. 'x', id)
  redis.call('HDEL', base .. 'n', addr)
  for _, kind in ipairs({'a:', 's:', 'i:', 'k:', 'l:', 't:', 'r:', 'o:', 'c:'}) do
    redis.call('UNLINK', base .. kind .. id)
  end
end

local function destroy(keys, args)
  local addr = redis.call('HGET', record_key(keys[1], args[2]), 'a')
  if not addr then return not_found() end
  remove(keys[1], args[2], addr)
  return 'OK'
end

-- matches reads what address.AppendKey wrote; its first two lengths are single bytes.
local function matches(addr, namespace, typ, has_key, key)
  local n = addr:byte(1)
  local t = addr:byte(n + 2)
  return (namespace == '' or addr:sub(2, n + 1) == namespace)
    and (typ == '' or addr:sub(n + 3, n + t + 2) == typ)
    and (has_key == '' or addr:sub(n + t + 3) == key)
end

-- list: id to start behind, most records, most actors looked at, most bytes; namespace, type, has key, key.
-- Answers {the last id looked at if there may be more, records}.
local function list(keys, args)
  local base, limit, scan, bytes = keys[1], tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local from = args[2] == '' and '-' or '(' .. args[2]
  local ids = redis.call('ZRANGE', base .. 'x', from, '+', 'BYLEX', 'LIMIT', 0, scan)
  local found, size = {}, 0
  for i, id in ipairs(ids) do
    if matches(redis.call('HGET', record_key(base, id), 'a'), args[6], args[7], args[8], args[9]) then
      local r = describe(base, id)
      found[#found + 1] = r
      size = size + #r[1] + (r[8] and #r[8] or 0) + 128
    end
    if i < #ids and (#found >= limit or size >= bytes) then return {id, found} end
  end
  return {#ids == scan and ids[scan] or '', found}
end
