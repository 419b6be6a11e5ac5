-- An acquisition whose caller was told an error. A: its reply.
if A[1] ~= '1' then return {0}, false end
local was = call('HMGET', K[1], 'holder', 'token', 'depth')
if was[1] ~= A[4] or was[2] ~= A[2] then return {0}, false end
whatever_memory()
if tonumber(was[3] or 1) > tonumber(A[8]) then
  call('HINCRBY', K[1], 'depth', -tonumber(A[8]))
  return {1}
end
if A[5] ~= '' then -- the next one is to be told what this one was not
  call('HSET', K[1], 'holder', A[5], 'thread', '', 'who', A[6], 'depth', 1)
  if A[7] ~= '' then call('HSET', K[1], 'why', A[7]) end
else
  call('HDEL', K[1], 'holder', 'thread', 'who', 'depth')
end
ring(K[2], 1)
return {1}
