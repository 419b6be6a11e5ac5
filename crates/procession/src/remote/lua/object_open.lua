-- Finds an object or makes it. A: kind, '1' if it may be made, its name ('' if it has none), its parts, then
-- parameters by name and value. Returns whether it was made and all that stands in its hash.
-- {2}: there is none. {3, kind}: it is something else.
local kind = call('HGET', K[1], 'kind')
if kind and kind ~= A[1] then return {3, kind}, false end
local made = 0
if not kind then
  if A[2] ~= '1' then return {2}, false end
  call('HSET', K[1], 'kind', A[1], 'parts', A[4], unpack(A, 5))
  if A[3] ~= '' then call('ZADD', prefix .. ':names', 'NX', now(), A[3]) end
  made = 1
end
return {made, call('HGETALL', K[1])}, made == 1
