-- Key-value pairs: a hash holds the values, a sorted set of equal scores the order of the keys by bytes.

local function lex_bounds(from, to)
  return from == '' and '-' or '[' .. from, to == '' and '+' or '(' .. to
end

-- collect reads a page: entries as key, value, ...; whether there is more; and the size with the one that was too much.
local function collect(base, id, from, to, reverse, limit, most)
  local low, high = lex_bounds(from, to)
  local entries, size = {}, 0
  while true do
    local keys
    if reverse then
      keys = redis.call('ZRANGE', base .. 'l:' .. id, high, low, 'BYLEX', 'REV', 'LIMIT', 0, 128)
    else
      keys = redis.call('ZRANGE', base .. 'l:' .. id, low, high, 'BYLEX', 'LIMIT', 0, 128)
    end
    for _, key in ipairs(keys) do
      if #entries >= 2 * limit then return entries, true, size end
      local value = redis.call('HGET', base .. 'k:' .. id, key)
      size = size + #key + #value
      if #entries > 0 and size > most then return entries, true, size end
      entries[#entries + 1] = key
      entries[#entries + 1] = value
    end
    if #keys < 128 then return entries, false, size end
    if reverse then high = '(' .. keys[128] else low = '(' .. keys[128] end
  end
end

-- read_range: id, generation, nonce; from, until, reverse, limit, most bytes.
local function read_range(keys, args)
  if not owned(keys[1], args[2], args[3], args[4]) then return fenced(keys[1], args[2]) end
  local limit, most = tonumber(args[8]), tonumber(args[9])
  local entries, more = collect(keys[1], args[2], args[5], args[6], args[7] == '1', limit, most)
  return {more and 1 or 0, entries}
end

-- read_keys: id, generation, nonce; most bytes or 0, key...
local function read_keys(keys, args)
  if not owned(keys[1], args[2], args[3], args[4]) then return fenced(keys[1], args[2]) end
  local most, size, values = tonumber(args[5]), 0, {}
  for i = 6, #args do
    local value = redis.call('HGET', keys[1] .. 'k:' .. args[2], args[i])
    size = size + #args[i] + (value and #value or 0)
    if most > 0 and size > most then return refuse('TOOLARGE', 'the keys asked for hold more bytes together') end
    values[#values + 1] = value
  end
  return values
end

local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function within(range, key)
  return not before(key, range[1]) and (range[2] == '' or before(key, range[2]))
end

local function is_deleted(plan, key)
  for _, range in ipairs(plan.deleted) do
    if within(range, key) then return true end
  end
  return false
end

local function stored_size(plan, key)
  local n = redis.call('HSTRLEN', plan.kv, key)
  return (n > 0 or redis.call('HEXISTS', plan.kv, key) == 1) and #key + n or 0
end

-- freed is what the actor holds in the range after the operations so far.
local function freed(plan, range)
  local size = 0
  for key, held in pairs(plan.touched) do
    if within(range, key) then
      size = size + held
      plan.touched[key] = 0
    end
  end
  local low, high = lex_bounds(range[1], range[2])
  while true do
    local keys = redis.call('ZRANGE', plan.lex, low, high, 'BYLEX', 'LIMIT', 0, BATCH)
    for _, key in ipairs(keys) do
      if not plan.touched[key] and not is_deleted(plan, key) then size = size + stored_size(plan, key) end
    end
    if #keys < BATCH then return size end
    low = '(' .. keys[BATCH]
  end
end

-- plan_kv returns the bytes that keys and values will take, and in plan.held what each operation finds under its key.
local function plan_kv(plan, args)
  local bytes = plan.kv_bytes
  plan.kv, plan.lex = plan.base .. 'k:' .. plan.id, plan.base .. 'l:' .. plan.id
  plan.touched, plan.deleted, plan.held = {}, {}, {}
  for n = 1, plan.kv_count do
    local i = plan.kv_at + 3 * n - 3
    local op, key, value = args[i], args[i + 1], args[i + 2]
    if op == 'R' then
      local all = key == '' and value == ''
      bytes = bytes - (all and bytes or freed(plan, {key, value}))
      if all then plan.touched = {} end
      plan.deleted[#plan.deleted + 1] = {key, value}
    else
      local held = plan.touched[key]
      if not held then
        held = (plan.kv_bytes == 0 or is_deleted(plan, key)) and 0 or stored_size(plan, key)
      end
      plan.held[n] = held
      plan.touched[key] = op == 'P' and #key + #value or 0
      bytes = bytes + plan.touched[key] - held
    end
  end
  return bytes
end

local function delete_range(plan, from, to)
  if from == '' and to == '' then
    redis.call('UNLINK', plan.kv, plan.lex)
    return
  end
  local low, high = lex_bounds(from, to)
  repeat
    local keys = redis.call('ZRANGE', plan.lex, low, high, 'BYLEX', 'LIMIT', 0, BATCH)
    if #keys > 0 then
      redis.call('HDEL', plan.kv, unpack(keys))
      redis.call('ZREM', plan.lex, unpack(keys))
    end
  until #keys < BATCH
end

-- apply_kv does the operations in order; puts that follow each other go together.
local function apply_kv(plan, args)
  local puts, new = {}, {}
  local function flush()
    if #puts > 0 then redis.call('HSET', plan.kv, unpack(puts)) end
    if #new > 0 then redis.call('ZADD', plan.lex, unpack(new)) end
    puts, new = {}, {}
  end
  for n = 1, plan.kv_count do
    local i = plan.kv_at + 3 * n - 3
    local op, key, value = args[i], args[i + 1], args[i + 2]
    if op == 'P' then
      puts[#puts + 1], puts[#puts + 2] = key, value
      if plan.held[n] == 0 then new[#new + 1], new[#new + 2] = 0, key end
      if #puts >= BATCH then flush() end
    else
      flush()
      if op == 'R' then
        delete_range(plan, key, value)
      elseif plan.held[n] > 0 then
        redis.call('HDEL', plan.kv, key)
        redis.call('ZREM', plan.lex, key)
      end
    end
  end
  flush()
end
