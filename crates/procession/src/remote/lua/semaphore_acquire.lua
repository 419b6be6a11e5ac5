-- Takes a permit. A: waiter's member or ''. {1}; {0}: there is none.
local was = call('HMGET', K[1], 'kind', 'value')
if not was[1] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
if tonumber(was[2] or 0) < 1 then
  wait(K[2], A[1])
  return {0}, false, false
end
call('HINCRBY', K[1], 'value', -1)
leave(K[2], A[1])
return {1}, true, false
