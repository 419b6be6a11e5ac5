-- An arrival whose caller was told an error: the barrier breaks, as for one that gives up. A: the reply.
if A[1] ~= '0' and A[1] ~= '2' then return {}, false end
local own = string.sub(call('HGET', K[3], A[2]) or '', 1, 1)
if own ~= 'w' and own ~= 'r' then -- its round is over, and the next one is others'
  call('HDEL', K[3], A[2])
  return {}
end
whatever_memory()
for _, entry in ipairs(call('HKEYS', K[3])) do
  local place = call('HGET', K[3], entry)
  local kind = string.sub(place, 1, 1)
  if kind == 'w' or kind == 'r' then call('HSET', K[3], entry, 'b' .. string.sub(place, 2)) end
end
call('HDEL', K[3], A[2])
call('HSET', K[1], 'state', 'broken', 'count', 0)
ring(K[2], 2147483647)
return {}
