-- Commits. The arguments end in sections, each begun by its letter, in the order of the fields of store.Commit; only
-- what the commit has is sent.

local sections = {
  S = function(plan, args, i)
    plan.state = args[i]
    return i + 1
  end,
  K = function(plan, args, i)
    plan.kv_count, plan.kv_at = tonumber(args[i]), i + 1
    return i + 1 + 3 * plan.kv_count
  end,
  A = set_schedules, X = keep_results, F = finish, O = open,
  C = function(plan, args, i)
    plan.added, plan.added_at = tonumber(args[i]), i + 2
    plan.removed, plan.removed_at = tonumber(args[i + 1]), i + 2 + plan.added
    return plan.removed_at + plan.removed
  end,
}

-- outcome compares the version with the record's [COMMIT-2].
local function outcome(record, version, commit_id, current, current_id)
  if version > current then return refuse('GAP', 'an earlier version is missing') end
  if version < current then return refuse('STALE', 'a later version was applied') end
  if commit_id ~= current_id then return refuse('CONFLICT', 'another commit has this version') end
  redis.call('HSET', record, 'c', commit_id) -- so that a WAIT behind this answer covers the first one [RDS-4]
  return 'DUPLICATE'
end

local function apply_state(plan, set, was)
  set[#set + 1], set[#set + 2] = 'l', #plan.state
  if #plan.state <= INLINE_STATE then
    set[#set + 1], set[#set + 2] = 's', plan.state
    if was > INLINE_STATE then redis.call('UNLINK', plan.base .. 's:' .. plan.id) end
  else
    redis.call('SET', plan.base .. 's:' .. plan.id, plan.state)
    if was <= INLINE_STATE then redis.call('HDEL', plan.record, 's') end
  end
end

-- apply_connections adds, then removes: one that came and went within one commit is gone [CONN-7].
local function apply_connections(plan, args)
  local connections = plan.base .. 'c:' .. plan.id
  for i = plan.added_at, plan.added_at + plan.added - 1 do redis.call('SADD', connections, args[i]) end
  for i = plan.removed_at, plan.removed_at + plan.removed - 1 do redis.call('SREM', connections, args[i]) end
end

-- commit: id, generation, nonce, version, commit id; what: '' or 'D' (destroy) or 'L' (a part is too large and nothing
-- of it was sent); most storage; sections.
local function commit(keys, args)
  local base, id = keys[1], args[2]
  local record = record_key(base, id)
  local r = redis.call('HMGET', record, 'g', 'n', 'v', 'c', 'l', 'k', 'i')
  if r[1] ~= args[3] or r[2] ~= args[4] then return fenced(keys[1], args[2]) end -- [FENCE-1]
  local version, current = tonumber(args[5]), tonumber(r[3] or '0')
  if version ~= current + 1 then return outcome(record, version, args[6], current, r[4]) end
  if args[7] == 'D' then
    remove(base, id, redis.call('HGET', record, 'a'))
    return 'OK'
  end
  if args[7] == 'L' then return refuse('TOOLARGE', 'a part of the commit is too large') end

  local plan = {base = base, id = id, record = record, kv_bytes = tonumber(r[6] or '0'), schedules = {}}
  local i = 9
  while args[i] do i = sections[args[i]](plan, args, i + 1) end
  local state = tonumber(r[5] or '0')
  local kv_bytes = plan.kv_count and plan_kv(plan, args) or plan.kv_bytes
  if plan.most_schedules and too_many_schedules(plan) then return refuse('TOOLARGE', 'too many schedules') end
  local storage = (plan.state and #plan.state or state) + kv_bytes
  -- A limit that was lowered below what the actor holds still lets it shrink.
  if storage > tonumber(args[8]) and storage > state + plan.kv_bytes then
    return refuse('QUOTA', "the actor's storage quota is used up")
  end

  local set = {'v', args[5], 'c', args[6]}
  if plan.state then apply_state(plan, set, state) end
  if plan.kv_count then
    apply_kv(plan, args)
    set[#set + 1], set[#set + 2] = 'k', whole(kv_bytes)
  end
  apply_schedules(plan)
  if plan.finished and #plan.finished + #plan.open > 0 then apply_results(plan, args) end
  if plan.added then apply_connections(plan, args) end
  redis.call('HSET', record, unpack(set))
  if r[7] then -- [LIFE-4]
    redis.call('HDEL', record, 'i')
    redis.call('UNLINK', base .. 'i:' .. id)
  end
  return 'OK'
end
