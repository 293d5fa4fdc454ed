-- Keyed results [ONCE-1]: a hash holds them as text, 'F' (finished) or 'D' (in doubt), the time of keeping in
-- microseconds, a space and the result; a sorted set their order of keeping.

-- Most results that ran out which one commit removes on its way.
local PRUNE = 16

local function expired(kept, now, ttl) return now >= tonumber(kept:match('^.(%d+)')) + ttl end

-- result: id, generation, nonce; time to live, key. Answers the text, or nil.
local function result(keys, args)
  if not owned(keys[1], args[2], args[3], args[4]) then return fenced(keys[1], args[2]) end
  local kept = redis.call('HGET', keys[1] .. 'r:' .. args[2], args[6])
  return kept and not expired(kept, clock(args), tonumber(args[5])) and kept
end

local function evict(results, order, most, now, ttl)
  local over = redis.call('ZCARD', order) - most
  while over > 0 do
    local oldest = redis.call('ZPOPMIN', order, math.min(over, BATCH))
    for i = 1, #oldest, 2 do redis.call('HDEL', results, oldest[i]) end
    over = over - #oldest / 2
  end
  for _, key in ipairs(redis.call('ZRANGE', order, 0, PRUNE - 1)) do
    if not expired(redis.call('HGET', results, key), now, ttl) then return end
    redis.call('HDEL', results, key)
    redis.call('ZREM', order, key)
  end
end

-- apply_results keeps what finished, then marks what is open, unless something is known of it: a mark stays as old as
-- the first commit that made it. The newest come last.
local function apply_results(plan, args)
  local results, order = plan.base .. 'r:' .. plan.id, plan.base .. 'o:' .. plan.id
  local now, ttl = clock(args), plan.result_ttl
  local last = redis.call('ZRANGE', order, -1, -1, 'WITHSCORES')
  local number = last[2] and tonumber(last[2]) or 0
  local function keep(key, text)
    number = number + 1
    redis.call('HSET', results, key, text)
    redis.call('ZADD', order, whole(number), key)
  end
  for _, f in ipairs(plan.finished) do keep(f[1], 'F' .. whole(now) .. ' ' .. f[2]) end
  for _, key in ipairs(plan.open) do
    local kept = redis.call('HGET', results, key)
    if not kept or expired(kept, now, ttl) then keep(key, 'D' .. whole(now) .. ' ') end
  end
  evict(results, order, plan.most_results, now, ttl)
end

-- Sections of a commit. keep_results: most, time to live; it comes before the two others.
local function keep_results(plan, args, i)
  plan.most_results, plan.result_ttl = tonumber(args[i]), tonumber(args[i + 1])
  plan.finished, plan.open = {}, {}
  return i + 2
end

-- finish: count; each: schedule, fire, next time, key, result.
local function finish(plan, args, i)
  local last = i + 5 * tonumber(args[i])
  for j = i + 1, last, 5 do
    if args[j] ~= '' then finish_fire(plan, args[j], args[j + 1], args[j + 2]) end
    if args[j + 3] ~= '' then plan.finished[#plan.finished + 1] = {args[j + 3], args[j + 4]} end
  end
  return last + 1
end

-- open: count; each: schedule, fire, key.
local function open(plan, args, i)
  local last = i + 3 * tonumber(args[i])
  for j = i + 1, last, 3 do
    if args[j] ~= '' then open_fire(plan, args[j], args[j + 1]) end
    if args[j + 2] ~= '' then plan.open[#plan.open + 1] = args[j + 2] end
  end
  return last + 1
end
