-- Its holder's process ends on purpose: a plain lock stays held, by nobody, and anybody may release it; a reentrant one
-- is free. A: token, thread. {}
local was = call('HMGET', K[1], 'kind', 'holder', 'thread', 'token')
if was[2] ~= me or was[3] ~= A[2] or was[4] ~= A[1] then return {}, false end
whatever_memory()
if was[1] == 'rlock' then
  call('HDEL', K[1], 'holder', 'thread', 'who', 'depth')
  ring(K[2], 1)
else
  call('HSET', K[1], 'holder', 'nobody', 'thread', '')
end
return {}
