-- The names that Go calls. PREFIX is set in front of all by library.go; it names this text, so that gateways of two
-- builds never call each other's functions.

local function register(name, callback, flags)
  redis.register_function{function_name = PREFIX .. name, callback = callback, flags = flags}
end

register('create', create)
register('acquire', acquire)
register('commit', commit)
register('claim', claim)
register('remember_types', remember_types)

-- What frees memory, or keeps alive what runs, goes on when the memory is used up.
register('destroy', destroy, {'allow-oom'})
register('release', release, {'allow-oom'})
register('extend', extend, {'allow-oom'})
register('grant', grant, {'allow-oom'})
register('revoke', revoke, {'allow-oom'})

register('resolve', resolve, {'no-writes'})
register('describe', describe_actor, {'no-writes'})
register('list', list, {'no-writes'})
register('read_keys', read_keys, {'no-writes'})
register('read_range', read_range, {'no-writes'})
register('result', result, {'no-writes'})
register('next_due', next_due, {'no-writes'})
register('live', live, {'no-writes'})
register('lease', lease, {'no-writes'})
register('known_types', known_types, {'no-writes'})
