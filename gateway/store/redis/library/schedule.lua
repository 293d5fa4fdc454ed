-- Schedules: a hash per actor holds them as text "fire due attempt claimed in-doubt spec", numbers in decimal, times in
-- microseconds; the partition's sorted set holds when each can be claimed: due, or the end of its claim.

local function encode_schedule(s)
  return s.fire .. ' ' .. s.due .. ' ' .. s.attempt .. ' ' .. s.claimed .. ' ' .. s.doubt .. ' ' .. s.spec
end

local function decode_schedule(text)
  local fire, due, attempt, claimed, doubt, spec = text:match('^(%d+) (%d+) (%d+) (%d+) (%d) (.*)$')
  return {fire = fire, due = due, attempt = attempt, claimed = claimed, doubt = doubt, spec = spec}
end

local function put_schedule(base, id, name, s)
  redis.call('HSET', base .. 't:' .. id, name, encode_schedule(s))
  redis.call('ZADD', base .. 'd', whole(math.max(tonumber(s.due), tonumber(s.claimed))), id .. '\0' .. name)
end

-- touched_schedule is the schedule as the commit has it so far, to be changed in place; nil: there is none.
local function touched_schedule(plan, name)
  local s = plan.schedules[name]
  if s == nil then
    local stored = redis.call('HGET', plan.base .. 't:' .. plan.id, name)
    s = stored and decode_schedule(stored) or false
    if s then s.stored = true end
    plan.schedules[name] = s
  end
  return s and not s.removed and s or nil
end

local function next_fire(plan, name, due, spec)
  local s = touched_schedule(plan, name)
  local was = plan.schedules[name]
  plan.schedules[name] = {
    fire = s and whole(tonumber(s.fire) + 1) or '1', due = due, attempt = '0', claimed = '0', doubt = '0',
    spec = spec or s.spec, stored = was and was.stored, changed = true,
  }
end

local function remove_schedule(s) s.removed, s.changed = true, true end

-- Sections of a commit. set_schedules: count, most; each: operation, name, time, spec.
local function set_schedules(plan, args, i)
  plan.most_schedules = tonumber(args[i + 1])
  local first, last = i + 2, i + 1 + 4 * tonumber(args[i])
  for j = first, last, 4 do
    local op, name, at = args[j], args[j + 1], args[j + 2]
    if op == 'C' then
      local s = touched_schedule(plan, name)
      if s then remove_schedule(s) end
    else
      if op == 'A' then at = whole(clock(args) + tonumber(at)) end -- [ALARM-7]
      next_fire(plan, name, at, args[j + 3])
    end
  end
  return last + 1
end

-- finish_fire consumes a fire if it is still that one; an empty next removes the schedule.
local function finish_fire(plan, name, fire, next)
  local s = touched_schedule(plan, name)
  if not s or s.fire ~= fire then return end
  if next == '' then remove_schedule(s) else next_fire(plan, name, next) end
end

-- open_fire marks a fire in doubt [ONCE-1].
local function open_fire(plan, name, fire)
  local s = touched_schedule(plan, name)
  if s and s.fire == fire then s.doubt, s.changed = '1', true end
end

-- too_many_schedules: a limit that was lowered below what the actor holds still lets it shrink.
local function too_many_schedules(plan)
  local grown = 0
  for _, s in pairs(plan.schedules) do
    if s and not s.removed and not s.stored then grown = grown + 1 end
    if s and s.removed and s.stored then grown = grown - 1 end
  end
  return grown > 0 and redis.call('HLEN', plan.base .. 't:' .. plan.id) + grown > plan.most_schedules
end

local function apply_schedules(plan)
  for name, s in pairs(plan.schedules) do
    if s and s.changed and not s.removed then
      put_schedule(plan.base, plan.id, name, s)
    elseif s and s.removed and s.stored then
      redis.call('HDEL', plan.base .. 't:' .. plan.id, name)
      redis.call('ZREM', plan.base .. 'd', plan.id .. '\0' .. name)
    end
  end
end

-- claimed counts an attempt of a stored schedule and hides it [ALARM-6]. What stays is not taken apart: of all that a claim
-- does to a schedule, that would take the longest.
local function claimed(stored, hidden)
  local fire_and_due, attempt, rest = stored:match('^(%d+ %d+ )(%d+) %d+ (.*)$')
  return fire_and_due .. whole(attempt + 1) .. ' ' .. hidden .. ' ' .. rest
end

-- claim: most, visibility.
local function claim(keys, args)
  local base, now, out, timers = keys[1], clock(args), {}, {}
  local hidden = whole(now + tonumber(args[3]))
  local due = redis.call('ZRANGE', base .. 'd', '-inf', whole(now), 'BYSCORE', 'LIMIT', 0, args[2])
  for _, member in ipairs(due) do
    local cut = member:find('\0', 1, true)
    local id, name = member:sub(1, cut - 1), member:sub(cut + 1)
    local stored = redis.call('HGET', base .. 't:' .. id, name)
    if stored then
      local text = claimed(stored, hidden)
      redis.call('HSET', base .. 't:' .. id, name, text)
      timers[#timers + 1], timers[#timers + 2] = hidden, member
      out[#out + 1] = {id, name, text}
    else
      redis.call('ZREM', base .. 'd', member) -- Somebody deleted keys by hand: the others must still be claimed.
    end
  end
  for i = 1, #timers, BATCH do redis.call('ZADD', base .. 'd', unpack(timers, i, math.min(i + BATCH - 1, #timers))) end
  return out
end

-- extend: id, schedule, fire, due, visibility. The due time is compared too: a schedule that was canceled and made
-- again counts its fires from 1.
local function extend(keys, args)
  local stored = redis.call('HGET', keys[1] .. 't:' .. args[2], args[3])
  local s = stored and decode_schedule(stored)
  if not s or s.fire ~= args[4] or s.due ~= args[5] then return not_found() end
  s.claimed = whole(clock(args) + tonumber(args[6]))
  put_schedule(keys[1], args[2], args[3], s)
  return 'OK'
end

local function next_due(keys)
  local first = redis.call('ZRANGE', keys[1] .. 'd', 0, 0, 'WITHSCORES')
  return first[2] and whole(tonumber(first[2])) or ''
end
